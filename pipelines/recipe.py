"""What decides the weights, in one digest. Another recipe is another training; the same one may be gone on with."""

from __future__ import annotations

from pathlib import Path

from pipelines import determinism, imports
from pipelines.params import Params
from registry import canonical
from registry.digest import sha256_file
from registry.files import readable
from registry.records import folders
from registry.records.checkpoint_chain import Chain

TRAINING = "pipelines.train"
"""The module whose imports are the code of the recipe, as they are the dependencies of the stage in dvc.yaml."""
LOCK = Path("requirements.lock")
BASE_RECORD = Path(folders.BASE_RECORD)


def chain(params: Params, tokens: Path, lock: Path = LOCK) -> Chain:
    """A chain of checkpoints, without any yet, for training as `params` says on the tokens that tokens.json lists.

    Raises InputError where tokens.json or the lock of packages is missing.
    """
    profile = determinism.named(params.train.profile)
    digests = {"tokens": _digest(tokens), "packages": _digest(lock)}
    recipe = {
        "seed": params.seed,
        "model": params.model.model_dump(mode="json"),
        "train": params.train.deciding(),
        "profile": profile.identity.digest,
        "code": {path: sha256_file(file) for path, file in imports.code([TRAINING]).items()},
        **digests,
        **({"base": _digest(BASE_RECORD)} if params.base else {}),
    }
    return Chain(
        tokens=digests["tokens"], recipe=canonical.digest(recipe), profile=profile.identity, entries=()
    )  # fmt: skip


def _digest(path: Path) -> str:
    with readable(path, mend="run `dvc repro` from the root"):
        return sha256_file(path)
