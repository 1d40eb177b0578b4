"""What is missing on a machine, or broken, is told, with a mend; and nothing is waited for without end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from registry.doctor import Condition, examine, machine
from registry.doctor.condition import good
from registry.doctor.examining import Place, bounded
from registry.errors import Unavailable
from registry.report import Verdict


def only(found: Iterable[Condition]) -> Condition:
    (one,) = found
    assert (one.mend is None) == (one.verdict is Verdict.PASS) or one.name == "bubblewrap"
    return one


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that programs are found in."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("version", "verdict"),
    [((3, 10, 9), "FAIL"), ((3, 11, 0), "PASS"), ((3, 13, 1), "PASS"), ((3, 14, 0), "UNKNOWN")],
)
def test_a_python_that_nobody_tried_is_not_said_to_do(version: tuple[int, ...], verdict: str) -> None:
    assert only(machine.python(version)).verdict == verdict


@pytest.mark.parametrize(("check", "name"), [(machine.git, "git"), (machine.dvc, "dvc")])
def test_a_program_is_there_and_works_or_not(check: type, name: str, programs: Path) -> None:
    assert only(check()).verdict is Verdict.FAIL and "not installed" in only(check()).found
    script(programs, name, "echo 1.2.3")
    assert only(check()) == good(only(check()).name, "1.2.3")
    script(programs, name, "echo broken by an upgrade >&2; exit 1")
    assert only(check()).verdict is Verdict.FAIL and "broken by an upgrade" in only(check()).found


def test_a_program_that_hangs_is_unknown(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SECONDS", 0.2)
    script(programs, "dvc", "exec /bin/sleep 60")
    assert only(machine.dvc()).verdict is Verdict.UNKNOWN


def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(machine.disk(tmp_path)).verdict is Verdict.PASS
    monkeypatch.setattr(machine, "ROOM", 1 << 62)
    assert only(machine.disk(tmp_path)).verdict is Verdict.FAIL and "TMPDIR" in str(only(machine.disk(tmp_path)).mend)


def test_bubblewrap_walls_in_or_not(programs: Path) -> None:
    assert "apt install bubblewrap" in str(only(machine.bubblewrap()).mend)
    script(programs, "bwrap", "echo 'No permissions to create new namespace' >&2; exit 1")
    found = only(machine.bubblewrap())
    assert found.verdict is Verdict.PASS and found.mend is not None and "namespace" in found.found
    script(programs, "bwrap", 'while [ "$1" != -- ]; do shift; done; shift; PATH=/bin:/usr/bin exec "$@"')
    assert only(machine.bubblewrap()) == good("bubblewrap", "it walls in what audits run")


def test_what_hangs_or_breaks_is_unknown_and_holds_up_nothing() -> None:
    def hang() -> Iterator[Condition]:
        time.sleep(60)
        yield good("never", "")

    def fail() -> Iterator[Condition]:
        yield good("half", "of it")
        raise KeyError("x")

    def decline() -> Iterator[Condition]:
        raise Unavailable("not now", mend="later")

    def well() -> Iterator[Condition]:
        yield good("well", "as it should be")

    checks = [(("hub", "clock"), hang), (("broken",), fail), (("declined",), decline), (("well",), well)]
    started = time.monotonic()
    found = bounded(checks, 0.5)
    assert time.monotonic() - started < 30
    told = [(each.name, str(each.verdict)) for each in found]
    assert told == [
        ("hub", "UNKNOWN"), ("clock", "UNKNOWN"), ("broken", "UNKNOWN"), ("declined", "UNKNOWN"), ("well", "PASS")
    ]  # fmt: skip
    assert "KeyError" in found[2].found and found[3].mend == "later"


def test_a_folder_that_is_not_a_project_has_no_runs_and_no_training(tmp_path: Path) -> None:
    place = Place(tmp_path, "http://127.0.0.1:9")
    assert {each.name for each in examine(place)} == {
        "Python", "git", "DVC", "disk", "bubblewrap", "Hub", "token", "clock", "Sigstore"
    }  # fmt: skip
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    assert {each.name for each in examine(place, seconds=0.0)} >= {"MLflow", "CPU"}
