"""On the path of a process with GLASSHOUSE_TEST_LOADED and DVC_STAGE set: when it ends, say which files it loaded.

One file a process in the folder GLASSHOUSE_TEST_LOADED: the stage, the words of the command, the files.
"""

import atexit
import json
import os
import sys
from pathlib import Path


def _tell(folder: Path, stage: str) -> None:
    files = sorted({file for module in [*sys.modules.values()] if (file := getattr(module, "__file__", None))})
    told = {"stage": stage, "command": sys.orig_argv, "files": files}
    (folder / f"{stage}-{os.getpid()}.json").write_text(json.dumps(told))


if {"GLASSHOUSE_TEST_LOADED", "DVC_STAGE"} <= os.environ.keys():
    atexit.register(_tell, Path(os.environ["GLASSHOUSE_TEST_LOADED"]), os.environ["DVC_STAGE"])
