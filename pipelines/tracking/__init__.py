"""The run in MLflow: a place to look at a training, never the authority on what was trained.

    found by   the tag `glasshouse.recipe`, so a training that was killed goes on in its own run, and no output of a
               stage has to carry a run's number
    where      MLFLOW_TRACKING_URI, else sqlite:///mlflow.db with artifacts in ./mlartifacts
    off        GLASSHOUSE_TRACKING=off

Law: nothing of MLflow fails or stops a stage. A stage only writes entries, which wait in build/tracking; a process of
its own sends them, and is ended where it gets no further. What still waits then is sent by the next stage, or by
`python -m pipelines.tracking`.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.checkpoints import RunFolder
from pipelines.params import Params
from pipelines.tracking import spool
from pipelines.tracking.entries import MAX_FIGURES, Begun, Ended, Evaluated, Exported, File, Measurements, Status
from pipelines.tracking.sending import Sender, sender
from registry import canonical, variables
from registry.digest import sha256_file
from registry.errors import GlasshouseError
from registry.records import data_manifest, folders
from registry.records import tracking as names
from registry.records.checkpoint_chain import Chain

DATA_MANIFEST = Path(folders.CORPUS, data_manifest.SUMMARY)
DVC_LOCK = Path("dvc.lock")
EVERY_SECONDS = 5.0
ENOUGH = 100
"""With so many entries waiting, a training writes no more of its metrics until it ends, and then all at once."""
LINES = 10_000
"""The most steps in one entry."""


@contextmanager
def training(params: Params, plan: Chain, folder: RunFolder) -> Iterator[Callable[[], None]]:
    """Record a training of the recipe `plan`: gives a function to call now and then, which records what is new.

    The run ends FINISHED, or FAILED where the block raises.
    """
    if not enabled():
        yield lambda: None
        return
    with sender() as outgoing:
        outgoing.put(_begun(params, plan))
        outgoing.start()
        follower = _Follower(plan.recipe, folder, outgoing)
        try:
            yield follower.look
        except BaseException:
            follower.end("FAILED")
            raise
        follower.end("FINISHED")


def evaluated(recipe: str, figures: Mapping[str, float], folder: Path) -> None:
    """Add the figures of an evaluation, and all that it left in `folder`, to the run of its training."""
    if enabled():
        shown = dict(islice(figures.items(), MAX_FIGURES))
        _send(Evaluated(recipe=recipe, time=_now(), figures=shown, files=_files(sorted(folder.iterdir()))))


def registered(recipe: str, name: str, folder: Path, weights: str) -> None:
    """Register the model in `folder` as a version of `name`, once for the same files, with the alias `candidate`."""
    if enabled():
        _send(Exported(recipe=recipe, name=name, weights=weights, files=_files(sorted(folder.iterdir()))))


def enabled() -> bool:
    """Whether runs are recorded."""
    return os.environ.get(variables.TRACKING, "on") != "off"


class _Follower:
    """Records the lines of metrics.jsonl that no entry has yet, with the speed seen here."""

    def __init__(self, recipe: str, folder: RunFolder, outgoing: Sender) -> None:
        self._recipe, self._folder, self._outgoing = recipe, folder, outgoing
        self._recorded = 0
        self._last = time.monotonic()

    def look(self) -> None:
        """Record what is new, if it has been a while."""
        if time.monotonic() - self._last >= EVERY_SECONDS and len(spool.waiting()) < ENOUGH:
            self._record()

    def end(self, status: Status) -> None:
        """Record the rest, and that the run ended."""
        self._record()
        environment = [self._folder.environment] if status == "FINISHED" else []
        self._outgoing.put(Ended(recipe=self._recipe, status=status, files=_files(environment)))
        self._outgoing.finish()

    def _record(self) -> None:
        now = time.monotonic()
        lines = [line for line in _lines(self._folder.metrics) if line["step"] > self._recorded]
        if lines:
            tokens = lines[0]["tokens"] / lines[0]["step"] * len(lines)
            lines[-1]["tokensPerSecond"] = tokens / max(now - self._last, 1e-3)
            self._recorded = int(lines[-1]["step"])
        for start in range(0, len(lines), LINES):
            self._outgoing.put(
                Measurements(recipe=self._recipe, time=_now(), lines=tuple(lines[start : start + LINES]))
            )
        self._last = now


def _send(entry: Evaluated | Exported) -> None:
    with sender() as outgoing:
        outgoing.put(entry)
        outgoing.start()
        outgoing.finish()


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics so far; another process is writing them."""
    if not path.is_file():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [canonical.parse(line, name=path.name) for line in whole.splitlines()]


def _files(paths: Iterable[Path]) -> tuple[File, ...]:
    """What stands at `paths`, by its digest: what later stands there instead is not sent in its place."""
    return tuple(
        File(path=path.as_posix(), sha256=sha256_file(path), size=path.stat().st_size)
        for path in paths
        if path.is_file()
    )


def _begun(params: Params, plan: Chain) -> Begun:
    """All that is known before training."""
    values = {"seed": params.seed, **_flat("model", params.model), **_flat("train", params.train)}
    return Begun(
        recipe=plan.recipe,
        data=_data_root(),
        tags={names.PROFILE: plan.profile.name, **_source(), **_system()},
        params={key: str(value)[:6000] for key, value in values.items()},
    )


def _data_root() -> str:
    """The Merkle root of the data manifest, as the corpus stage wrote it; "unknown" where there is none."""
    try:
        summary = canonical.read(DATA_MANIFEST)
    except GlasshouseError:
        return "unknown"
    return str(summary.get("root", "unknown")) if isinstance(summary, dict) else "unknown"


def _source() -> Mapping[str, str]:
    """Git commit, and the digest of dvc.lock: what the working tree was when the training began."""
    tags = {}
    if DVC_LOCK.is_file():
        tags[names.DVC_LOCK] = sha256_file(DVC_LOCK)
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if git.returncode == 0:
        tags["mlflow.source.git.commit"] = git.stdout.strip()
    return tags


def _system() -> Mapping[str, str]:
    cores = len(os.sched_getaffinity(0))
    return {
        "system.platform": platform.platform(),
        "system.python": platform.python_version(),
        "system.cores": str(cores),
    }


def _flat(prefix: str, section: Any) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in section.model_dump(mode="json").items():
        nested = {f"{prefix}.{key}.{inner}": item for inner, item in value.items()} if isinstance(value, dict) else None
        values |= nested if nested is not None else {f"{prefix}.{key}": value}
    return values


def _now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return int(time.time() * 1000)
