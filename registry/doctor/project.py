"""What a DVC project needs here: its store of runs, and a CPU that gives the bits it recorded."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from registry.audit.machine import CPU_BOUND
from registry.doctor.condition import Condition, bad, good, unknown
from registry.records.environment import Environment
from registry.release import config
from registry.variables import MLFLOW_TRACKING_URI, TRACKING

SECONDS = 5.0
STORE = "mlflow.db"
PIPELINE = "dvc.yaml"
SCHEME = "sqlite:///"
START = f"start it; or train without: {TRACKING}=off"


def is_one(root: Path) -> bool:
    """Whether `root` is the folder of a DVC project."""
    return (root / PIPELINE).is_file() or (root / ".dvc").is_dir()


def mlflow(root: Path) -> Iterator[Condition]:
    """Whether the store of runs answers: training waits minutes for one that does not."""
    uri = os.environ.get(MLFLOW_TRACKING_URI) or f"{SCHEME}{STORE}"
    if os.environ.get(TRACKING) == "off":
        yield good("MLflow", f"{TRACKING}=off: no run is recorded")
    elif uri.startswith(SCHEME):
        yield _database(root / uri.removeprefix(SCHEME))
    elif uri.startswith(("http://", "https://")):
        yield _server(uri.rstrip("/"))
    else:
        yield unknown("MLflow", f"a store of this kind is not looked at: {uri[:100]}", mend="see that it answers")


def _database(path: Path) -> Condition:
    if not path.exists():
        return good("MLflow", f"the first training makes {path}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as store:
            (runs,) = store.execute("SELECT count(*) FROM runs").fetchone()
    except sqlite3.OperationalError as problem:
        if "no such table" not in str(problem):
            return unknown("MLflow", f"{path} cannot be read now: {problem}", mend="see who holds it, and try again")
        return bad("MLflow", f"{path} is not a store of MLflow's", mend=f"move it away; or set {TRACKING}=off")
    except sqlite3.DatabaseError as problem:
        found = f"{path} is damaged: {problem}"
        return bad("MLflow", found, mend="move it away: training makes a new one, and no release depends on it")
    return good("MLflow", f"{path} can be read; runs in it: {runs}")


def _server(uri: str) -> Condition:
    try:
        with urlopen(f"{uri}/health", timeout=SECONDS) as answer:
            status = answer.status
    except (OSError, ValueError) as problem:
        reason = problem.reason if isinstance(problem, URLError) else problem
        return unknown("MLflow", f"{uri} does not answer: {reason}", mend=START)
    return good("MLflow", f"{uri} answers") if status == 200 else unknown("MLflow", f"{uri}: {status}", mend=START)


def cpu(root: Path) -> Iterator[Condition]:
    """Whether this CPU gives the bits of the training that the project recorded, as far as its profile promises."""
    settings = config.load(root)
    paths = [root / path for path in settings.provenance or () if path.endswith("environment.json")]
    if not paths or not paths[0].is_file():
        yield unknown("CPU", "no training is recorded here yet", mend="dvc repro, or dvc pull")
        return
    recorded = Environment.read(paths[0])
    yield fits(recorded, platform.machine(), facts())


def fits(recorded: Environment, architecture: str, here: dict[str, str]) -> Condition:
    """Whether a CPU gives the bits that `recorded` trained.

    architecture, here: what the system says of the CPU, as `facts` reads it.
    """
    there, profile = recorded.machine, recorded.profile
    flags, name = set(here.get("flags", "").split()), here.get("model name", "unknown")
    if architecture != there.architecture:
        return bad(
            "CPU", f"it is {architecture}, and the training ran on {there.architecture}", mend="use another machine"
        )
    if not flags:
        return unknown("CPU", "this system does not say what the CPU can do", mend="train a little, and compare")
    if profile.name in CPU_BOUND:
        if name == there.cpu and set(there.features) <= flags:
            return good("CPU", f"{name}, as in the training (profile {profile.name})")
        found = f"the profile {profile.name} promises the same bits on {there.cpu} only; this is {name}"
        return unknown("CPU", found, mend="choose `train.profile: portable` in params.yaml, or use such a machine")
    needed = str(profile.settings.get("capability") or "").lower()
    if needed and needed not in flags:
        found = f"{name} has no {needed.upper()}, which the profile {profile.name} needs"
        return bad("CPU", found, mend="use an x86-64 CPU with AVX2, or choose `train.profile: native` in params.yaml")
    return good("CPU", f"{name} gives the bits of the profile {profile.name}")


def facts(source: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """What Linux says of the first processor, by its words for it; nothing elsewhere."""
    if not source.is_file():
        return {}
    first = source.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
