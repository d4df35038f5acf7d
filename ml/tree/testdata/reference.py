"""Writes the data and the reference values of the quality tests: scikit-learn 1.9.1, pandas 3.1, `python reference.py SUPERSTORE_CSV`.

Folds are StratifiedKFold(5, shuffle=True, random_state=42), of numbers KFold likewise. reference.json holds the mean and the
standard deviation over the folds of every figure. Trees and forests see categories as codes in alphabetical order. Data sets
are those that scikit-learn carries: breast cancer, wine and digits of the UCI Machine Learning Repository (CC BY 4.0), and
diabetes (Efron et al.: Least Angle Regression, 2004); each CSV has a fold and a target column first.
"""
import gzip
import json
import sys

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.ensemble import (ExtraTreesClassifier, ExtraTreesRegressor, HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

CLASSIFIERS = {
    "forest_half": lambda: RandomForestClassifier(100, max_features=0.5, min_samples_leaf=3, random_state=1),
    "forest_sqrt": lambda: RandomForestClassifier(100, random_state=1),
    "extra_half": lambda: ExtraTreesClassifier(100, max_features=0.5, min_samples_leaf=3, random_state=1),
    "tree_10": lambda: DecisionTreeClassifier(max_depth=10, min_samples_leaf=5, random_state=1),
    "tree_full": lambda: DecisionTreeClassifier(random_state=1),
    "tree_entropy": lambda: DecisionTreeClassifier(criterion="entropy", max_depth=10, min_samples_leaf=5, random_state=1),
    "tree_20_leaves": lambda: DecisionTreeClassifier(max_leaf_nodes=20, random_state=1),
    "tree_pruned": lambda: DecisionTreeClassifier(ccp_alpha=0.001, random_state=1),
    "tree_balanced": lambda: DecisionTreeClassifier(class_weight="balanced", max_depth=10, min_samples_leaf=5, random_state=1),
    "boosting": lambda: HistGradientBoostingClassifier(early_stopping=False, random_state=1),
}
CHOSEN = {"digits": ["forest_sqrt", "tree_10"]}  # for the time that it takes
REGRESSORS = {
    "forest_half": lambda: RandomForestRegressor(100, max_features=0.5, min_samples_leaf=3, random_state=1),
    "extra_half": lambda: ExtraTreesRegressor(100, max_features=0.5, min_samples_leaf=3, random_state=1),
    "tree_10": lambda: DecisionTreeRegressor(max_depth=10, min_samples_leaf=5, random_state=1),
    "tree_20_leaves": lambda: DecisionTreeRegressor(max_leaf_nodes=20, random_state=1),
    "boosting": lambda: HistGradientBoostingRegressor(early_stopping=False, random_state=1),
}


def folds(y, classes):
    split = StratifiedKFold(5, shuffle=True, random_state=42) if classes else KFold(5, shuffle=True, random_state=42)
    fold = np.zeros(len(y), int)
    for i, (_, test) in enumerate(split.split(np.zeros(len(y)), y)):
        fold[test] = i
    return fold


def judge(make, x, y, fold, classes):
    rows = []
    for f in range(5):
        m = make().fit(x[fold != f], y[fold != f])
        xt, yt = x[fold == f], y[fold == f]
        if not classes:
            rows.append({"r2": r2_score(yt, m.predict(xt))})
            continue
        p = m.predict_proba(xt)
        auc = roc_auc_score(yt, p[:, 1]) if p.shape[1] == 2 else roc_auc_score(yt, p, multi_class="ovr")
        rows.append({"accuracy": accuracy_score(yt, p.argmax(1)), "auc": auc, "log_loss": log_loss(yt, np.clip(p, 2**-52, 1 - 2**-52), labels=range(p.shape[1]))})
    t = pd.DataFrame(rows)
    return {c: {"mean": round(t[c].mean(), 6), "sd": round(t[c].std(), 6)} for c in t}


def superstore(path):
    d = pd.read_csv(path, encoding="latin-1")
    order, ship = pd.to_datetime(d["Order Date"], format="mixed"), pd.to_datetime(d["Ship Date"], format="mixed")
    x = d[["Sales", "Quantity", "Discount"]].copy()
    for c in ["Ship Mode", "Segment", "Region", "State", "Category", "Sub-Category"]:
        x[c] = d[c].astype("category").cat.codes
    x["ship_days"] = (ship - order).dt.days
    x["UnitPrice"] = d["Sales"] / d["Quantity"]
    x["year"], x["quarter"], x["month"], x["dow"], x["day"] = order.dt.year, order.dt.quarter, order.dt.month, order.dt.dayofweek, order.dt.day
    margin = d["Profit"] / d["Sales"]
    tier = np.where(d["Profit"] <= 0, 0, np.where(margin < 0.25, 1, 2))
    return x.to_numpy(float), (d["Profit"] > 0).to_numpy(int), tier


def main():
    reference = {}
    x, y, tier = superstore(sys.argv[1])
    fold, fold3 = folds(y, True), folds(tier, True)
    lines = ["".join(map(str, fold)), "".join(map(str, fold3)), "".join(map(str, tier))]
    gzip.GzipFile("superstore_folds.txt.gz", "wb", mtime=0).write(("\n".join(lines) + "\n").encode())
    reference["superstore"] = {k: judge(m, x, y, fold, True) for k, m in CLASSIFIERS.items()}
    reference["superstore_tier"] = {k: judge(CLASSIFIERS[k], x, tier, fold3, True) for k in ["forest_half", "tree_10"]}
    for name, load in [("breast_cancer", datasets.load_breast_cancer), ("wine", datasets.load_wine), ("digits", datasets.load_digits)]:
        b = load()
        fold = folds(b.target, True)
        t = pd.DataFrame(b.data, columns=[f"x{i}" for i in range(b.data.shape[1])])
        t.insert(0, "fold", fold)
        t.insert(1, "target", b.target)
        gzip.GzipFile(name + ".csv.gz", "wb", mtime=0).write(t.to_csv(index=False).encode())
        reference[name] = {k: judge(CLASSIFIERS[k], b.data, b.target, fold, True) for k in CHOSEN.get(name, ["forest_half", "forest_sqrt", "extra_half", "tree_10", "boosting"])}
    b = datasets.load_diabetes(scaled=False)
    fold = folds(b.target, False)
    t = pd.DataFrame(b.data, columns=[f"x{i}" for i in range(b.data.shape[1])])
    t.insert(0, "fold", fold)
    t.insert(1, "target", b.target)
    gzip.GzipFile("diabetes.csv.gz", "wb", mtime=0).write(t.to_csv(index=False).encode())
    reference["diabetes"] = {k: judge(m, b.data, b.target, fold, False) for k, m in REGRESSORS.items()}
    json.dump(reference, open("reference.json", "w"), indent=1)


main()
