"""What a power cut may leave of work on repositories."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

_REMAINS = {
    "*/*/.new-*": 3600,
    "*/*/.gone-*": 0,
    "*/*/*.git/index-*": 3600,
    "*/*/.commit-*": 3600,
    "*/*/*.git/commit-*": 3600,
    "*/*/*.git/refs/**/*.lock": 60,
    "*/*/*.git/*.lock": 60,
}
"""Patterns below the folder of repositories, and how many seconds each is left alone."""


def sweep(root: Path) -> None:
    """Remove what a power cut may have left below `root`: half-made repositories, scratch folders, locks of refs.

    Only what has not been touched for a while goes, for other processes may be at work.
    """
    for pattern, seconds in _REMAINS.items():
        for item in root.glob(pattern):
            with suppress(FileNotFoundError):
                if item.stat().st_mtime < time.time() - seconds:
                    shutil.rmtree(item) if item.is_dir() else item.unlink()
