"""The base in build/base, as `glasshouse base` fetched it: every byte as its record says, or not touched.

DVC may have restored it from a cache or a remote, where it goes by MD5. What is read here goes by SHA-256.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from registry.errors import VerificationError
from registry.manifest import Manifest
from registry.records import folders
from registry.records.base_record import Base, ChosenBase
from registry.records.run import directory_digest

FOLDER = Path(folders.BASE)
RECORD = Path(folders.BASE_RECORD)


@cache
def checked(base: ChosenBase) -> Path:
    """The folder of the base. Raises VerificationError where a byte of it is not as its record says, or is of another.

    Every file is hashed, once in a process.
    """
    said = Base.read(RECORD)
    found = directory_digest({entry.path: entry.sha256 for entry in Manifest.of_directory(FOLDER).entries})
    if said.uri != base.model or found != said.sha256:
        raise VerificationError(
            f"{FOLDER} is sha256:{found}; {RECORD} has sha256:{said.sha256} for {said.uri}, params.yaml {base.model}",
            mend="fetch the base again: dvc repro -f base",
        )
    return FOLDER
