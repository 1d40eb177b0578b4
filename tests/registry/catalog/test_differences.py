"""Two releases are compared by what was signed of them, and nothing that cannot be read is called equal."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from registry.attest.predicates import Release, ReleasedFile
from registry.catalog import differences, entry, shelves, weights
from registry.catalog.differences import ReleaseChange
from registry.catalog.entry import ReleaseEntry, Whom
from registry.digest import sha256_bytes
from registry.records import layout
from tests.published import World
from tests.registry.catalog.conftest import DROPPED, FIRST, SECOND


def read(reference: str, whom: Whom) -> ReleaseEntry:
    return entry.read(shelves.find(reference, endpoint=None), whom)


def by_part(found: list[ReleaseChange], part: str) -> list[tuple[str, str]]:
    return [(each.kind, each.subject) for each in found if each.part == part]


def test_exactly_what_was_changed_is_named(world: World, whom: Whom) -> None:
    found = list(differences.compare(read(FIRST, whom), read(SECOND, whom)))
    assert by_part(found, "data") == [("removed", DROPPED)]
    (setting,) = [each for each in found if each.part == "params"]
    assert (setting.subject, setting.before, setting.after) == ("train.steps", "8", "9")
    assert [each.part for each in found if each.part in ("packages", "code")] == []
    assert not [each for each in found if each.kind == "unknown"]


def test_a_release_does_not_differ_from_itself(world: World, whom: Whom) -> None:
    one = read(FIRST, whom)
    roots = [world.folder / "model", world.folder / "model"]
    assert [*differences.compare(one, one), *weights.compare(one, one, roots)] == []


def test_what_cannot_be_read_is_unknown_and_never_equal(world: World, whom: Whom, signed: Callable[..., Path]) -> None:
    folder = signed()
    other = read(str(folder), whom)
    (folder / layout.PARAMS).write_bytes(b"seed: 8\n")
    (folder / layout.DATA_ROWS).unlink()
    (folder / layout.REQUIREMENTS).unlink()
    (folder / layout.EVALUATION).unlink()
    (folder / layout.STAGES).unlink()
    found = list(differences.compare(read(FIRST, whom), other))
    assert {each.part for each in found if each.kind == "unknown"} == {"params", "data", "packages", "metrics", "code"}


def test_weights_on_a_hub_are_compared_by_file_unless_they_are_fetched(world: World, whom: Whom) -> None:
    found = list(weights.compare(read(FIRST, whom), read(SECOND, whom), [None, None]))
    assert [(each.kind, each.subject) for each in found] == [("changed", layout.WEIGHTS)]
    roots = [world.folder / "model", world.folder / "second"]
    found = list(weights.compare(read(FIRST, whom), read(SECOND, whom), roots))
    assert [(each.kind, each.subject) for each in found] == [("changed", "layer")]


def floats(tensors: Mapping[str, list[float]]) -> bytes:
    """A safetensors file of one-dimensional F32 tensors."""
    header, data = {}, b""
    for name, numbers in tensors.items():
        piece = struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def test_tensors_are_equal_moved_changed_added_removed_or_twice_there(signed: Callable[..., Path], whom: Whom) -> None:
    before = {"same": [1.0, 2.0], "old": [3.0, 4.0], "changed": [3.0, 4.0, 0.0], "gone": [9.0], "zeros": [0.0]}
    after = {"same": [1.0, 2.0], "new": [3.0, 4.0], "changed": [3.0, 4.0, 5.0], "fresh": [8.0], "copy": [8.0],
             "zeros": [1.0]}  # fmt: skip
    folders = [signed(name, extra={layout.WEIGHTS: floats(each)}) for name, each in (("a", before), ("b", after))]
    sides = [read(str(folder), whom) for folder in folders]
    found = {each.subject: each for each in weights.compare(sides[0], sides[1], folders)}
    assert found["changed"].note == "relative distance 1"
    assert found["zeros"].note == "from zeros"
    assert (found["old"].before, found["old"].after) == ("old", "new")
    assert (found["gone"].kind, found["fresh"].kind) == ("removed", "added")
    assert "same numbers" in str(found["copy = fresh"].note)
    assert found.keys() == {"changed", "zeros", "old", "gone", "fresh", "copy", "copy = fresh"}
    (folders[1] / layout.WEIGHTS).write_bytes(floats(before))
    (refused,) = weights.compare(sides[0], sides[1], folders)
    assert refused.kind == "unknown"


def test_weights_of_other_formats_are_compared_as_a_whole(signed: Callable[..., Path], whom: Whom) -> None:
    def of(name: str, *, other: bytes) -> Path:
        folder = signed(name)
        sides[name] = replace(read(str(folder), whom), release=_with_weights(folder, whom, "model.onnx", other))
        return folder

    sides: dict[str, ReleaseEntry] = {}
    folders = [of("a", other=b"1"), of("b", other=b"2")]
    (found,) = weights.compare(sides["a"], sides["b"], folders)
    assert (found.kind, found.subject, found.note) == ("changed", "model.onnx", "it is compared as a whole")


def _with_weights(folder: Path, whom: Whom, path: str, data: bytes) -> Release:
    """What the release at `folder` would say, had it one file of weights more."""
    said = read(str(folder), whom).release
    file = ReleasedFile(path=path, sha256=sha256_bytes(data), size=len(data))
    return said.model_copy(update={"files": (*said.files, file), "weights": (*said.weights, path)})


def test_a_list_is_one_setting_unless_it_holds_others() -> None:
    value = {"a": [1, 2], "b": [{"c": None}, {}], "d": {}, "e": {"f": True}}
    assert dict(differences.leaves(value)) == {
        "a": "[1, 2]", "b[0].c": "None", "b[1]": "{}", "d": "{}", "e.f": "True",
    }  # fmt: skip
