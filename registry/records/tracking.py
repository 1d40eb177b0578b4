"""What stages and releases have in common in MLflow: the store, the tags, and how long it is waited for.

MLflow is a place to look. What is there can be changed by whoever reaches it, so nothing is ever verified by it.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from pathlib import Path

from registry import variables

STORE = "mlflow.db"
"""The database at the project's root, where MLFLOW_TRACKING_URI names no other store."""
RECIPE = "glasshouse.recipe"
"""Of runs and versions: SHA-256 of the recipe of the training."""
DATA = "glasshouse.data"
"""Of runs: the Merkle root of the data manifest."""
WEIGHTS = "glasshouse.weights"
"""Of versions: SHA-256 of the file of weights."""
MODEL = "glasshouse.model"
"""Of logged models and versions: one digest for all files of the model."""
PROFILE = "glasshouse.profile"
"""Of runs: the name of the numeric profile."""
DVC_LOCK = "glasshouse.dvc_lock"
"""Of runs: SHA-256 of dvc.lock when the training began."""
RELEASE = "glasshouse.release"
"""Of runs, logged models and versions: the release that was published."""
STATEMENT = "glasshouse.release.sha256"
"""Of runs, logged models and versions: SHA-256 of its release statement."""
LOCK = "glasshouse.lock"
"""Of runs, logged models and versions: SHA-256 of its dvc.lock."""
PERMANENT = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"})
"""Error codes of MLflow's with which it will refuse the same request again."""

_DEFAULTS = {
    variables.MLFLOW_HTTP_REQUEST_TIMEOUT: "10",
    variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0",
    variables.MLFLOW_DISABLE_TELEMETRY: "true",
    variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR: "false",
}


def set_defaults(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have MLflow wait seconds for a server, not minutes, and keep quiet. What a person has set stands."""
    for name, value in _DEFAULTS.items():
        environment.setdefault(name, value)


def uri(root: Path) -> str:
    """Where the project at `root` keeps its runs."""
    return os.environ.get(variables.MLFLOW_TRACKING_URI) or f"sqlite:///{root / STORE}"


def brief(problem: Exception) -> str:
    """What an error of MLflow's says, on one line: its beginning, and its end, where the cause stands."""
    words = shown(" ".join(str(problem).split()))
    return words if len(words) <= 300 else f"{words[:100]} ... {words[-200:]}"


def shown(words: str) -> str:
    """The URI of a store, or words about it, as they may be printed: without a user and a password."""
    return re.sub(r"//[^/@\s]*@", "//", words)
