"""scikit-learn's side of bench/linear: linear.py TABLE_DIR folds | fit SOLVER [C] | ridge.

A table is a description (table.json) and a file of numbers for each column. Both sides encode alike: numbers standardised
by the training part's mean and population standard deviation, a column of zeros and ones for each level with at least five
training rows and one for all others. What is timed is `fit` alone. Prints JSON: seconds and objective of each fold.
"""
import json
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold

warnings.filterwarnings("ignore")
folder, command = sys.argv[1], sys.argv[2]
table = json.load(open(f"{folder}/table.json"))
n, k = table["rows"], table["classes"]
y = np.fromfile(f"{folder}/y", np.int32)

if command == "folds":
    fold = np.zeros(n, np.uint8)
    if table["folds"] > 1:
        for i, (_, test) in enumerate(StratifiedKFold(table["folds"], shuffle=True, random_state=42).split(np.zeros(n), y)):
            fold[test] = i
    fold.tofile(f"{folder}/folds")
    sys.exit()

columns = [np.fromfile(f"{folder}/{c['file']}", np.int32 if c["levels"] else np.float64) for c in table["columns"]]
fold = np.fromfile(f"{folder}/folds", np.uint8)


def encode(rows):
    parts = []
    for c, v in zip(table["columns"], columns):
        v = v[rows]
        if not c["levels"]:
            sd = v.std()
            parts.append(sp.csr_matrix(((v - v.mean()) / (sd if sd > 0 else 1)).reshape(-1, 1)))
            continue
        counts = np.bincount(v, minlength=c["levels"])
        frequent = np.flatnonzero(counts >= 5)
        to = np.full(c["levels"], len(frequent))
        to[frequent] = np.arange(len(frequent))
        parts.append(sp.csr_matrix((np.ones(len(v)), (np.arange(len(v)), to[v])), shape=(len(v), len(frequent) + 1)))
    return sp.hstack(parts, format="csr")


def objective(m, x, y, C):
    s = np.asarray(x @ m.coef_.T) + m.intercept_
    if k == 2:
        s = np.column_stack([np.zeros(len(y)), s])
    top = s.max(axis=1)
    loss = np.log(np.exp(s - top[:, None]).sum(axis=1)) + top - s[np.arange(len(y)), y]
    return C * loss.sum() + 0.5 * (m.coef_**2).sum()


seconds, objectives, params = [], [], 0
for f in range(table["folds"]):
    rows = fold != f if table["folds"] > 1 else np.ones(n, bool)
    x = encode(rows)
    params = x.shape[1] + 1
    if command == "ridge":
        t = np.fromfile(f"{folder}/numbers", np.float64)[rows]
        m, x = Ridge(alpha=1.0, solver="cholesky"), x.toarray()
        start = time.perf_counter()
        m.fit(x, t)
        seconds.append(time.perf_counter() - start)
        objectives.append(0.5 * (((t - m.predict(x)) ** 2).sum() + (m.coef_**2).sum()))
        continue
    solver = sys.argv[3]
    C = float(sys.argv[4]) if len(sys.argv) > 4 else 1.0
    data = x.toarray() if solver == "newton-cholesky" else x
    m = LogisticRegression(C=C, solver=solver, max_iter=10000, **({"tol": 1e-10} if solver == "newton-cholesky" else {}))
    start = time.perf_counter()
    m.fit(data, y[rows])
    seconds.append(time.perf_counter() - start)
    objectives.append(objective(m, x, y[rows], C))
print(json.dumps({"seconds": seconds, "objectives": objectives, "params": params}))
