"""Packages that are not those that a release pins make other bytes accuse nobody."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from registry.audit import installed
from registry.audit.packages import Setup
from registry.audit.sandbox import Sandbox
from registry.digest import sha256_bytes
from registry.errors import Unavailable
from registry.records import layout
from registry.records.rebuild import DeclaredEnvironment

IMAGE = DeclaredEnvironment(kind="image", image=f"a/b@sha256:{'a' * 64}")
CURRENT = Setup("current")


def unlike(tmp_path: Path, text: str, name: str = "requirements.txt") -> tuple[str, ...]:
    """Why an environment is not what `text` pins, which is that of these tests."""
    (tree := tmp_path / "tree").mkdir()
    (tree / name).write_text(text)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    asked = DeclaredEnvironment(kind=layout.LOCK_TOOLS[name], file=name, sha256=sha256_bytes(text.encode()))
    return installed.unlike(asked, tree, CURRENT, Sandbox(scratch, Path(sys.executable).parent))


def test_the_same_versions_are_like(tmp_path: Path) -> None:
    assert unlike(tmp_path, f"Pydantic == {version('pydantic')}\n") == ()


def test_what_differs_or_is_not_here_is_named(tmp_path: Path) -> None:
    found = unlike(tmp_path, f"pydantic==0.1\nabsent-from-here==1\npyyaml=={version('pyyaml')}\n")
    assert found == (f"pydantic 0.1 there, {version('pydantic')} here", "absent-from-here 1 there, none here")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [("requirements.txt", "--pre\n", "is not known"), ("conda-lock.yml", "a: b\n", "is not read here")],
)
def test_what_cannot_be_told_accuses_nobody_either(tmp_path: Path, name: str, text: str, told: str) -> None:
    (said,) = unlike(tmp_path, text, name)
    assert told in said


def test_nothing_pinned_and_an_image_accuse_nobody(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, tmp_path)
    assert installed.unlike(None, tmp_path, CURRENT, sandbox) == ("the release pins no packages",)
    (said,) = installed.unlike(IMAGE, tmp_path, CURRENT, sandbox)
    assert "whether this is the image a/b@sha256:" in said
    assert installed.unlike(None, tmp_path, Setup("fresh"), sandbox) == ()


@pytest.mark.parametrize(("asked", "told"), [(None, "pins no packages"), (IMAGE, "neither pulls nor builds")])
def test_no_environment_is_made_of_nothing_or_of_an_image(
    tmp_path: Path, asked: DeclaredEnvironment | None, told: str
) -> None:
    with pytest.raises(Unavailable, match=told) as refused:
        Setup("fresh").make(asked, tmp_path, Sandbox(tmp_path, tmp_path))
    assert "--environment current" in refused.value.mend


def test_a_lock_of_uv_without_uv_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = DeclaredEnvironment(kind="uv", file="uv.lock", sha256="0" * 64)
    with pytest.raises(Unavailable, match="uv is not here"):
        Setup("fresh", "/usr/bin/python3").make(asked, tmp_path, Sandbox(tmp_path, tmp_path))
