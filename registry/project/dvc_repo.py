"""DVC's own code, opened on a project: only for one that its owner runs anyway, and only to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry import extras
from registry.errors import InputError, Unavailable


@contextmanager
def opened(root: Path, what: str) -> Iterator[Any]:
    """The project at `root`, as DVC has it. what: that DVC cannot do, in an error.

    Meanwhile DVC neither warns nor draws progress bars: that is for whoever runs its command. Raises InputError where
    DVC refuses what it reads, Unavailable where its code, or its own database, is not to be had.
    """
    import logging
    import sqlite3

    with extras.needed("release"):
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
    words = logging.getLogger("dvc")
    before = words.level
    words.setLevel(logging.CRITICAL)
    try:
        with Repo(str(root)) as repo:
            yield repo
    except DvcException as problem:
        raise InputError(
            f"{what}: {' '.join(str(problem).split())[:300]}", mend="mend it as `dvc status` says"
        ) from problem
    except sqlite3.Error as problem:
        raise Unavailable(
            f"the database that dvc keeps beside its cache does not answer: {problem}",
            mend="make room on the disk; where the file is damaged: dvc config core.site_cache_dir FOLDER",
        ) from problem
    finally:
        words.setLevel(before)
