"""Where the stages of this project leave what they make, from its root.

The releases of a project that says nothing else are taken to have been made there: registry.records.project.
"""

from __future__ import annotations

CORPUS = "build/corpus"
TOKENIZER = "build/tokenizer"
TOKENS = "build/tokens"
TRAINED = "build/train"
MODEL = "build/model"
BASE = "build/base"
BASE_RECORD = "build/base.json"
SEARCH = "build/search"
EVALUATION = "build/evaluation"
HARNESS = "build/harness"
DRAFT = "build/release"
