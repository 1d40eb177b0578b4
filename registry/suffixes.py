"""How the names of files end, by what is in them."""

from __future__ import annotations

BUNDLE = ".sigstore.json"
"""A signed statement."""
RUN = ".run.json"
"""The record of a stage's run. It is the one output of the stage whose name ends so, in whichever folder."""
SAFETENSORS = ".safetensors"
"""Weights that cannot run code."""
SAFETENSORS_INDEX = f"{SAFETENSORS}.index.json"
"""Which of several files of safetensors holds which tensor."""
GGUF = ".gguf"
"""Weights as llama.cpp takes them."""
PARQUET = ".parquet"
"""Tables, such as the documents of the training data."""
WEIGHTS = frozenset(
    (
        SAFETENSORS, GGUF, ".onnx", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz",
        ".h5", ".hdf5", ".keras", ".msgpack", ".pb", ".tflite", ".ot", ".mar", ".nemo", ".pdparams", ".caffemodel",
        ".mlmodel", ".engine", ".ggml", ".onnx_data", ".skops", ".orbax", ".pdmodel", ".tar", ".dill",
    )
)  # fmt: skip
"""Under which loaders look for weights. A name alone makes no file safe; it makes an unknown one worse."""
PICKLED = frozenset((".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill"))
"""Those of WEIGHTS behind which stands a pickle, by custom."""
