"""Prints the reference optima of lasso_test.go: scikit-learn 1.9.1, numpy, `python lasso.py`.

The data are those of reference.py. saga and coordinate descent run until they rest.
"""
import warnings

import numpy as np
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

import reference

warnings.filterwarnings("ignore")
N = reference.N


def design():
    a, b, level, _ = reference.data(2)
    return np.column_stack([(a - a.mean()) / a.std(), (b - b.mean()) / b.std()] + [(level == l).astype(float) for l in range(4)])


x = design()
for classes, C, ratio in [(2, 0.05, 1.0), (2, 1.0, 0.5), (3, 0.05, 1.0)]:
    y = reference.data(classes)[3]
    m = LogisticRegression(C=C, solver="saga", l1_ratio=ratio, tol=1e-14, max_iter=200000).fit(x, y)
    loss = -np.log(m.predict_proba(x)[np.arange(N), y]).sum()
    value = C * loss + ratio * np.abs(m.coef_).sum() + (1 - ratio) / 2 * (m.coef_**2).sum()
    print(f"classes {classes} C {C} l1_ratio {ratio}: objective {value:.10f}, weights that are 0: {(m.coef_ == 0).sum()}")

y = reference.data(2)[3]
m = LogisticRegression(C=1.0, solver="newton-cholesky", class_weight="balanced", tol=1e-12, max_iter=1000).fit(x, y)
weights = N / (2 * np.bincount(y))
loss = -(weights[y] * np.log(m.predict_proba(x)[np.arange(N), y])).sum()
print(f"balanced: objective {loss + 0.5 * (m.coef_**2).sum():.10f}, row 0 {m.predict_proba(x)[0, 1]:.12f}")

a, b, level, _ = reference.data(2)
t = 3 + 2 * a - b / 50 + level * level + np.arange(N) * 7919 % 1009 / 1009.0
m = Ridge(alpha=2.0, solver="cholesky").fit(x, t)
print(f"ridge: objective {0.5 * ((t - m.predict(x)) ** 2).sum() + (m.coef_**2).sum():.10f}, predictions {m.predict(x)[0]:.12f} {m.predict(x)[123]:.12f}")
m = ElasticNet(alpha=20.0 / N, l1_ratio=0.7, tol=1e-14, max_iter=1000000).fit(x, t)
value = 0.5 * ((t - m.predict(x)) ** 2).sum() + 20 * (0.7 * np.abs(m.coef_).sum() + 0.15 * (m.coef_**2).sum())
print(f"elastic net: objective {value:.10f}, predictions {m.predict(x)[0]:.12f}")
