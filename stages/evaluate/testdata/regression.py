"""Prints the RMSE of TestRegressionQuality: scikit-learn 1.9.1, `python regression.py ROWS` with the rows of the test part
as that test prints them with -v, on the diabetes data (Efron et al.: Least Angle Regression, 2004).

Forests are means over 20 seeds with their standard deviation; the other models have no chance in them.
"""
import sys

import numpy as np
from sklearn import datasets, ensemble, linear_model, pipeline, preprocessing, tree

b = datasets.load_diabetes(scaled=False)
test = np.zeros(len(b.target), bool)
test[[int(i) for i in sys.argv[1].split(",")]] = True


def rmse(model):
    p = model.fit(b.data[~test], b.target[~test]).predict(b.data[test])
    return np.sqrt(np.mean((p - b.target[test]) ** 2))


print("ridge", rmse(pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge(alpha=1))))
print("decision_tree", rmse(tree.DecisionTreeRegressor(max_depth=10, min_samples_leaf=5, random_state=0)))
print("gradient_boosting", rmse(ensemble.HistGradientBoostingRegressor(random_state=0, early_stopping=False)))
for name, forest in ("random_forest", ensemble.RandomForestRegressor), ("extra_trees", ensemble.ExtraTreesRegressor):
    all = [rmse(forest(n_estimators=100, max_features=0.5, min_samples_leaf=3, random_state=s)) for s in range(20)]
    print(name, np.mean(all), "+-", np.std(all))
print("mean", np.sqrt(np.mean((b.target[~test].mean() - b.target[test]) ** 2)))
