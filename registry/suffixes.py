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
