"""Scores rows with ONNX Runtime: judge.py FOLDER.

The folder holds rows.json (columns by name: a list of texts, or of numbers with null for NaN) and files NAME.onnx. Of each
it writes NAME.json: the outputs by name.
"""
import glob
import json
import sys

import numpy as np
import onnxruntime

folder = sys.argv[1]
columns = json.load(open(f"{folder}/rows.json"))
for path in sorted(glob.glob(f"{folder}/*.onnx")):
    session = onnxruntime.InferenceSession(path)
    feed = {}
    for i in session.get_inputs():
        values = columns[i.name]
        text = i.type == "tensor(string)"
        feed[i.name] = np.array(values, dtype=object if text else np.float64).reshape(-1, 1)
    names = [o.name for o in session.get_outputs()]
    out = dict(zip(names, (v.tolist() for v in session.run(names, feed))))
    json.dump(out, open(path.removesuffix(".onnx") + ".json", "w"))
