"""Fits one learner of another library and prints what it cost and gave, as JSON.

usage: learners.py DATA_FOLDER SIDE SETTINGS_JSON; see bench/learning, which calls it.
"""
import json
import os
import resource
import sys
import time

import numpy as np
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

folder, side, c = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
about = json.load(open(os.path.join(folder, "about.json")))
n, k, train = about["rows"], about["columns"], about["train"]
x = np.fromfile(os.path.join(folder, "x.f32"), np.float32).reshape(k, n).T
x = np.ascontiguousarray(x)
y = np.fromfile(os.path.join(folder, "y.i32"), np.int32)
X, Xt, Y, Yt = x[:train], x[train:], y[:train], y[train:]
CORES = 2
leaf = max(1, c["min_samples_leaf"])
depth = c["max_depth"] or None


def forest():
    from sklearn.ensemble import RandomForestClassifier

    m = RandomForestClassifier(c["trees"], max_features=c["max_features"] or "sqrt", min_samples_leaf=leaf, max_depth=depth, n_jobs=CORES, random_state=1)
    return m.fit, m.predict_proba, lambda: sum(t.tree_.node_count for t in m.estimators_)


def extra():
    from sklearn.ensemble import ExtraTreesClassifier

    m = ExtraTreesClassifier(c["trees"], max_features=c["max_features"] or "sqrt", min_samples_leaf=leaf, max_depth=depth, n_jobs=CORES, random_state=1)
    return m.fit, m.predict_proba, lambda: sum(t.tree_.node_count for t in m.estimators_)


def tree():
    from sklearn.tree import DecisionTreeClassifier

    m = DecisionTreeClassifier(min_samples_leaf=leaf, max_depth=depth, random_state=1)
    return m.fit, m.predict_proba, lambda: m.tree_.node_count


def hist_boosting():
    from sklearn.ensemble import HistGradientBoostingClassifier

    m = HistGradientBoostingClassifier(max_iter=c["trees"], early_stopping=False, random_state=1)
    return m.fit, m.predict_proba, lambda: sum(len(t.nodes) for r in m._predictors for t in r)


def lightgbm():
    import lightgbm as lgb

    m = lgb.LGBMClassifier(n_estimators=c["trees"], n_jobs=CORES, verbose=-1, random_state=1)
    return m.fit, m.predict_proba, lambda: sum(2 * t["num_leaves"] - 1 for t in m.booster_.dump_model()["tree_info"])


def xgboost_boosting():
    import xgboost as xgb

    m = xgb.XGBClassifier(n_estimators=c["trees"], tree_method="hist", n_jobs=CORES, random_state=1)
    return m.fit, m.predict_proba, lambda: sum(tree.count("\n") for tree in m.get_booster().get_dump())


def xgboost_forest():
    import xgboost as xgb

    m = xgb.XGBClassifier(n_estimators=1, num_parallel_tree=c["trees"], subsample=0.632, colsample_bynode=(c["max_features"] or k**0.5 / k), max_depth=0, max_leaves=0,
                          grow_policy="lossguide", tree_method="hist", learning_rate=1, reg_lambda=0, min_child_weight=0, max_bin=256, n_jobs=CORES, random_state=1)
    return m.fit, m.predict_proba, lambda: 0


makers = {"scikit-learn": {"forest": forest, "tree": tree, "extra": extra, "boosting": hist_boosting},
          "lightgbm": {"boosting": lightgbm}, "xgboost": {"boosting": xgboost_boosting, "forest": xgboost_forest}}
fit, predict, nodes = makers[side][c["learner"]]()
start, cpu = time.perf_counter(), time.process_time()
fit(X, Y)
fitted, cpu = time.perf_counter() - start, time.process_time() - cpu
start = time.perf_counter()
p = predict(Xt)
predicted = time.perf_counter() - start
auc = roc_auc_score(Yt, p[:, 1]) if p.shape[1] == 2 else roc_auc_score(Yt, p, multi_class="ovr")
print(json.dumps({"fit": fitted, "cpu": cpu, "predict": predicted, "accuracy": accuracy_score(Yt, p.argmax(1)), "auc": auc, "log_loss": log_loss(Yt, np.clip(p, 2**-52, 1 - 2**-52)), "nodes": int(nodes()), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
