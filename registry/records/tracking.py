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
"""SHA-256 of the recipe of the training, on runs and versions."""
DATA = "glasshouse.data"
"""The Merkle root of the data manifest, on runs."""
WEIGHTS = "glasshouse.weights"
"""SHA-256 of the file of weights, on versions."""
MODEL = "glasshouse.model"
"""One digest for all files of the model, on logged models and versions."""
PROFILE = "glasshouse.profile"
"""The name of the numeric profile, on runs."""
DVC_LOCK = "glasshouse.dvc_lock"
"""SHA-256 of dvc.lock when the training began, on runs."""
RELEASE = "glasshouse.release"
"""The release that was published, on runs, logged models and versions."""
STATEMENT = "glasshouse.release.sha256"
"""SHA-256 of its release statement, on runs, logged models and versions."""
LOCK = "glasshouse.lock"
"""SHA-256 of its dvc.lock, on runs, logged models and versions."""
STANDING = "glasshouse.status"
"""How the release stands, as it was last said with this store at hand: on versions."""
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
