"""Load it from the Hub, and run it."""

import sys

import numpy
import onnxruntime
from huggingface_hub import snapshot_download

repo, revision = sys.argv[1:]
folder = snapshot_download(repo, revision=revision, local_dir="downloaded")
session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
print(float(session.run(None, {"x": numpy.ones((1, 8), dtype=numpy.float32)})[0][0, 0]))
