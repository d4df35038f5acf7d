"""Prints the expected values of TestAgainstScikitLearn: scikit-learn 1.9.1, numpy, `python reference.py`.

Probabilities and classes are the integer formulas of that test; with few distinct values, so that there are many ties.
"""
import numpy as np
from sklearn import metrics as m

for k, n in [(2, 500), (3, 500), (20, 800)]:
    i = np.arange(n)
    w = np.column_stack([1 + (i * (37 + 11 * c) + c * c * 7) % 13 for c in range(k)]).astype(float)
    y = (i * 7919 % 1009) % k
    w[i, y] += i % 17
    p = w / w.sum(axis=1, keepdims=True)
    label = np.array([1 if k == 2 and r[1] >= r[0] else int(np.argmax(r)) for r in p])
    average = "binary" if k == 2 else "macro"
    one = np.eye(k)[y]
    if k == 2:
        auc, ap, brier = m.roc_auc_score(y, p[:, 1]), m.average_precision_score(y, p[:, 1]), m.brier_score_loss(y, p[:, 1])
    else:
        auc, ap = m.roc_auc_score(y, p, multi_class="ovr", average="macro"), m.average_precision_score(one, p, average="macro")
        brier = ((p - one) ** 2).sum(axis=1).mean()  # sklearn.metrics.brier_score_loss(y, p, scale_by_half=False)
    print(k, n, [f"{v:.15g}" for v in (
        m.accuracy_score(y, label), m.balanced_accuracy_score(y, label), m.precision_score(y, label, average=average, zero_division=0),
        m.recall_score(y, label, average=average), m.f1_score(y, label, average=average), auc, ap, m.log_loss(y, p), brier)])
    print("  first class", [f"{v:.15g}" for v in (
        m.precision_score(y, label, average=None, zero_division=0)[0], m.recall_score(y, label, average=None)[0], m.f1_score(y, label, average=None)[0],
        m.roc_auc_score(y == 0, p[:, 0]), m.average_precision_score(y == 0, p[:, 0]))])

# TestRegressionAgainstScikitLearn
for n, size in [(1, 1), (2, 1e-3), (501, 1), (2000, 1e6)]:
    i = np.arange(n)
    actual, predicted = size * (i * 7919 % 1009 - 300.0), size * (i * 7919 % 1009 - 300.0 + (i * 37 % 101 - 40.0) * (1 + i % 5))
    print(n, size, [f"{v:.15g}" for v in (
        m.root_mean_squared_error(actual, predicted), m.mean_absolute_error(actual, predicted), m.median_absolute_error(actual, predicted),
        m.max_error(actual, predicted), m.r2_score(actual, predicted) if n > 1 else np.nan)])
