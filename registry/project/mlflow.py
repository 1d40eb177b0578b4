"""The maintainer's side of MLflow: which version of the registered model a release was made from.

MLflow is a place to look, never the authority on what was released: runs can be deleted and aliases move. So versions
are found by the digest of their weights, and what is written here is a pointer to the signed release, not the release.
This is the one file of `registry` that imports mlflow.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from registry import extras, variables
from registry.errors import Unavailable

WEIGHTS_TAG = "glasshouse.weights"
"""Set by the pipeline on each model version: SHA-256 of its file of weights."""
RELEASED = "released"
"""The alias of the version that was published last."""


def mark_released(root: Path, *, name: str, weights: str, release: str, digest: str, lock: str) -> str | None:
    """Point the alias `released` at the version of model `name` whose weights have SHA-256 `weights`.

    release: the reference that was published.  digest: of its release statement.  lock: SHA-256 of dvc.lock.
    The version and its run get them as tags. Returns the version, or None where no version has these weights, or the
    project keeps no MLflow store at all. Raises Unavailable where MLflow is not installed or does not answer.
    """
    store = root / "mlflow.db"
    if not (os.environ.get(variables.MLFLOW_TRACKING_URI) or store.is_file()):
        return None
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    with extras.needed("release"):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    tags = {"glasshouse.release": release, "glasshouse.release.sha256": digest, "glasshouse.lock": lock}
    try:
        client = MlflowClient(tracking_uri=os.environ.get(variables.MLFLOW_TRACKING_URI) or f"sqlite:///{store}")
        found = client.search_model_versions(f"name = '{name}' AND tag.`{WEIGHTS_TAG}` = '{weights}'", max_results=1)
        if not found:
            return None
        version = found[0]
        for key, value in tags.items():
            client.set_model_version_tag(name, version.version, key, value)
            if version.run_id:
                client.set_tag(version.run_id, key, value)
        client.set_registered_model_alias(name, RELEASED, version.version)
    except MlflowException as problem:
        raise Unavailable(
            f"MLflow could not be told of the release: {str(problem)[:300]}",
            mend="the release stands; run `glasshouse release publish` again when MLflow answers",
        ) from problem
    return str(version.version)
