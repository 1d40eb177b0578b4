"""A maintainer whose statements do not fit one another, or the records: every signature is good, and it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.attest.statement import Statement, Subject
from registry.manifest import Manifest
from registry.records import layout
from registry.release import signing
from tests.e2e.tampering.gone_bad import resigned
from tests.e2e.tampering.world import Case, World, record


def cases() -> Iterator[Case]:
    """A maintainer whose statements do not fit one another, or the records."""
    two = ("stage-train", "stage-evaluate")
    yield Case("signed, two stages' statements swapped", _claimed(lambda said: _exchange(said, *two)), 5, "stage train")
    for name in two:
        yield Case(f"signed, another material of {name}", _claimed(_other_material(name)), 5, name.replace("-", " "))
        yield Case(f"signed, another output of {name}", _claimed(_other_output(name)), 5, name.replace("-", " "))
    for name, part, value in (
        ("evaluation", "result", "PASSED!"), ("evaluation", "failedTests", ["all"]), ("checkpoints", "entries", 1),
        ("checkpoints", "head", "1" * 64), ("data", "rows", 1), ("card", "license", "MIT"),
    ):  # fmt: skip
        change = _claimed(_saying(name, part, value))
        yield Case(f"signed, {name} says {part} {value}", change, 5, f"{name} statement <- records", (part,))
    for path in (layout.STAGES, layout.LOCK):
        yield Case(f"signed, {path} of another run", resigned(path, _of_another_run), 5, "stage train")
    for path in layout.DOCUMENTS:
        link = f"{path} <- records"
        yield Case(f"signed, another digest in {path}", resigned(path, _of_another_file), 5, link, ("1" * 20,))


def _claimed(change: Callable[[dict[str, Statement]], Any]) -> Callable[[World, Path], None]:
    """Let the statements, by their short names, say something else, and sign the whole release anew."""

    def spoil(world: World, root: Path) -> None:
        said = dict(signing._claims(root, Manifest.of_directory(root), record(root)))
        change(said)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(signing, "_claims", lambda folder, bare, record: said.items())
            signing.sign(root, world.signer)

    return spoil


def _exchange(said: dict[str, Statement], one: str, other: str) -> None:
    said[one], said[other] = said[other], said[one]


def _saying(name: str, part: str, value: Any) -> Callable[[dict[str, Statement]], None]:
    def change(said: dict[str, Statement]) -> None:
        old = said[name]
        said[name] = Statement(old.subjects, old.predicate_type, {**old.predicate, part: value})

    return change


def _other_material(name: str) -> Callable[[dict[str, Statement]], None]:
    def change(said: dict[str, Statement]) -> None:
        definition = said[name].predicate["buildDefinition"]
        source, first, *rest = definition["resolvedDependencies"]
        other = {"name": first["name"], "digest": {"sha256": "1" * 64}}
        rows = {**definition, "resolvedDependencies": [source, other, *rest]}
        _saying(name, "buildDefinition", rows)(said)

    return change


def _other_output(name: str) -> Callable[[dict[str, Statement]], None]:
    def change(said: dict[str, Statement]) -> None:
        *first, last = said[name].subjects
        said[name] = Statement((*first, Subject(last.name, "1" * 64)), said[name].predicate_type, said[name].predicate)

    return change


def _of_another_file(data: bytes) -> bytes:
    """The same document, but for the first digest in it."""
    return re.sub(rb"[0-9a-f]{64}", b"1" * 64, data, count=1)


def _of_another_run(data: bytes) -> bytes:
    """The same stages, with another command of the training."""
    return data.replace(b"-m pipelines.train", b"-m pipelines.train2")
