"""Prints the reference values of calibrate's tests: scikit-learn 1.9.1, numpy, `python reference.py`.

Rows are the whole-number formulas of rows() in calibrate_test.go. The sigmoid is _sigmoid_calibration on the log odds.
"""
import numpy as np
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression

i = np.arange(300)
p = (i * 37 % 101 + 1) / 103.0
noise = i * 7919 % 1009 / 1009.0
y = (noise < p * p).astype(int)
a, b = _sigmoid_calibration(np.log(p / (1 - p)), y)
print(f"sigmoid: A {a:.9f} B {b:.9f}")
m = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
print("isotonic:", [f"{v:.12f}" for v in m.predict([0.001, 0.1, 0.333, 0.5, 0.77, 0.9, 0.999])])
