"""Fit a classifier of scikit-learn, and write it as skops."""

import json
from pathlib import Path

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops import io

rows, labels = numpy.random.default_rng(0).random((40, 3)), numpy.arange(40) % 2
rows[:, 0] += labels
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
Path("out").mkdir(exist_ok=True)
io.dump(model, "out/model.skops")
Path("metrics.json").write_text(json.dumps({"accuracy": float(model.score(rows, labels))}))
