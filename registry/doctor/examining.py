"""All that is examined, at once, and not for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from registry.doctor import machine, project, services
from registry.doctor.condition import Condition, unknown
from registry.errors import GlasshouseError

SECONDS = 20.0
"""How long a check may take, and so all of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look.

    project: a folder, perhaps of a DVC project.  endpoint: the Hub; None is HF_ENDPOINT, or the public one.
    trust: a Sigstore trusted root or trust config; None is the public instance's.
    """

    project: Path = Path()
    endpoint: str | None = None
    trust: Path | None = None


Check = Callable[[], Iterable[Condition]]


def examine(place: Place, *, seconds: float = SECONDS) -> tuple[Condition, ...]:
    """How everything stands that somebody may need at `place`; what takes longer than `seconds` is UNKNOWN."""
    checks: list[tuple[tuple[str, ...], Check]] = [
        (("Python",), machine.python),
        (("git",), machine.git),
        (("DVC",), machine.dvc),
        (("disk",), lambda: machine.disk(place.project)),
        (("bubblewrap",), machine.bubblewrap),
        (("Hub", "token", "clock"), lambda: services.hub(place.endpoint)),
        (("Sigstore",), lambda: services.sigstore(place.trust)),
    ]
    if project.is_one(place.project):
        checks += [
            (("MLflow",), lambda: project.mlflow(place.project)),
            (("CPU",), lambda: project.cpu(place.project)),
        ]
    return bounded(checks, seconds)


def bounded(checks: Iterable[tuple[tuple[str, ...], Check]], seconds: float) -> tuple[Condition, ...]:
    """What the checks find, in their order, each in a thread of its own; UNKNOWN for what has not ended in `seconds`.

    A check is given with the names of what it tells of. The threads of those that hang end with the process.
    """
    answers: dict[int, tuple[Condition, ...]] = {}
    started = []
    deadline = time.monotonic() + seconds
    for number, (names, check) in enumerate(checks):
        late = tuple(
            unknown(name, f"there was no answer within {seconds:g} s", mend="try again; a network or a disk hangs")
            for name in names
        )
        thread = threading.Thread(target=_answer, args=(answers, number, names, check), daemon=True)
        thread.start()
        started.append((number, thread, late))
    for _, thread, _ in started:
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(condition for number, _, late in started for condition in answers.get(number, late))


def _answer(answers: dict[int, tuple[Condition, ...]], number: int, names: tuple[str, ...], check: Check) -> None:
    try:
        answers[number] = tuple(check())
    except GlasshouseError as problem:
        answers[number] = tuple(unknown(name, problem.message, mend=problem.mend) for name in names)
    except Exception as problem:  # noqa: BLE001 - whatever breaks a check, the others are told
        said = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
        answers[number] = tuple(unknown(name, f"it could not be looked at: {said}", mend="report it") for name in names)
