"""Prints the reference optimum of linear's tests: scikit-learn 1.9.1, numpy, `python reference.py`.

The data are the integer formulas of reference() in fit_test.go. Numbers are standardised with the population's standard
deviation, levels spelled out as columns of zeros and ones. newton-cholesky runs until the gradient is below 1e-12.
"""
import numpy as np
from sklearn.linear_model import LogisticRegression

N = 400


def data(classes):
    i = np.arange(N)
    a = (i * 37 % 101) / 10.0 - 5
    b = (i * i % 97).astype(float)
    level = i * 13 % 7 % 4
    noise = i * 7919 % 1009 / 1009.0
    score = a / 5 + b / 97 + level / 3 + 2 * noise
    y = np.minimum(classes - 1, np.maximum(0, ((score + 1) * classes / 5).astype(int)))
    return a, b, level, y


def fit(classes, C):
    a, b, level, y = data(classes)
    x = np.column_stack([(a - a.mean()) / a.std(), (b - b.mean()) / b.std()] + [(level == l).astype(float) for l in range(4)])
    m = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    p = m.predict_proba(x)
    loss = -np.log(p[np.arange(N), y]).sum()
    return C * loss + 0.5 * (m.coef_**2).sum(), p[0], p[123], loss / N, np.bincount(y)


if __name__ == "__main__":
    for classes, C in [(2, 1.0), (2, 0.01), (3, 1.0)]:
        objective, first, other, loss, counts = fit(classes, C)
        print(f"classes {classes} C {C} rows {counts}: objective {objective:.12f} log loss {loss:.12f}")
        print("  row 0", [f"{v:.12f}" for v in first], "row 123", [f"{v:.12f}" for v in other])
