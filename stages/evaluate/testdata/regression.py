"""Prints what TestRegressionQuality and TestForestsOfSales expect: scikit-learn 1.9.1, `python regression.py ROWS`.

The first is on the diabetes data (Efron et al.: Least Angle Regression, 2004): RMSE, ROWS being those of the test part as
the test prints them with -v. Forests are means over 20 seeds with their standard deviation; the other models have no chance
in them. The second is on the Superstore data, Sales of the last 1999 rows: mean absolute error and R2 over 5 seeds.
"""
import sys

import numpy as np
import pandas as pd
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

d = pd.read_csv("../../../sample/superstore.csv.gz", encoding="latin1")
x = d[["Quantity", "Discount", "Profit"]].copy()
for c in "Ship Mode", "Segment", "City", "State", "Region", "Category", "Sub-Category", "Customer Name":
    x[c] = d[c].astype("category").cat.codes
for c in "Order Date", "Ship Date":
    day = pd.to_datetime(d[c])
    for part in "year", "quarter", "month", "day_of_week", "day":
        x[c + part] = getattr(day.dt, part)
x["days"] = (pd.to_datetime(d["Ship Date"]) - pd.to_datetime(d["Order Date"])).dt.days
y, n = d["Sales"], len(d) - 1999
for name, forest in ("random_forest", ensemble.RandomForestRegressor), ("extra_trees", ensemble.ExtraTreesRegressor):
    mae, r2 = [], []
    for s in range(5):
        p = forest(n_estimators=100, min_samples_leaf=3, random_state=s, n_jobs=2).fit(x[:n], y[:n]).predict(x[n:])
        mae.append(np.abs(p - y[n:]).mean())
        r2.append(1 - ((p - y[n:]) ** 2).sum() / ((y[n:] - y[n:].mean()) ** 2).sum())
    print(name, "MAE", np.mean(mae), "+-", np.std(mae), "R2", np.mean(r2), "+-", np.std(r2))
