"""Locks of packages: what is read of them is one version and its digests, or it is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from registry.errors import Malformed, Unavailable
from registry.records import layout, package_locks
from registry.records.layout import LockTool
from tests.conftest import ROOT

TOOLS: tuple[LockTool, ...] = get_args(LockTool)
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
POETRY = f"""
[[package]]
name = "numpy"
version = "2.4.6"
optional = false
groups = ["main"]
markers = "python_version >= \\"3.11\\""
files = [{{file = "numpy-2.4.6.whl", hash = "{DIGEST}"}}, {{file = "numpy-2.4.6.tar.gz", hash = "{OTHER}"}}]

[[package]]
name = "pytest"
version = "9.0"
groups = ["dev"]
files = []

[metadata]
lock-version = "2.1"
"""
PYLOCK = f"""
lock-version = "1.0"
created-by = "pip"
[[packages]]
name = "numpy"
version = "2.4.6"
wheels = [{{name = "numpy.whl", hashes = {{sha256 = "{"a" * 64}"}}}}]
[packages.sdist]
name = "numpy.tar.gz"
hashes = {{sha256 = "{"b" * 64}"}}
"""
UV = """
version = 1
[[package]]
name = "mine"
version = "0.1.0"
source = { virtual = "." }
[[package]]
name = "Numpy"
version = "2.4.6"
source = { registry = "https://example.org/simple" }
"""
PIPFILE = json.dumps({"default": {"numpy": {"version": "==2.4.6", "hashes": [DIGEST]}}, "develop": {}})
PIP = f"# by hand\nnumpy==2.4.6 ; python_version >= '3' \\\n    --hash={DIGEST} \\\n    --hash={OTHER}  # two\n"


@pytest.mark.parametrize(
    ("kind", "text"), [("pip", PIP), ("poetry", POETRY), ("pylock", PYLOCK), ("uv", UV), ("pipenv", PIPFILE)]
)
def test_what_a_lock_pins(kind: LockTool, text: str) -> None:
    assert package_locks.pinned(kind, text.encode(), "lock") == {"numpy": "2.4.6"}


@pytest.mark.parametrize(("kind", "text"), [("pip", PIP), ("poetry", POETRY)])
def test_a_package_for_other_machines_is_not_missed_here(kind: LockTool, text: str) -> None:
    other = re.sub(r"python_version >= (.*?)3(.11)?", lambda found: f"sys_platform == {found[1]}nowhere", text)
    assert other != text and package_locks.pinned(kind, other.encode(), "lock") == {}


@pytest.mark.parametrize(("kind", "text"), [("poetry", POETRY), ("pylock", PYLOCK)])
def test_a_lock_becomes_lines_of_pip(kind: LockTool, text: str) -> None:
    said = package_locks.requirements(kind, text.encode(), "lock")
    marker = ' ; python_version >= "3.11"' if kind == "poetry" else ""
    assert said == f"numpy==2.4.6{marker} --hash={DIGEST} --hash={OTHER}\n"
    assert package_locks.requirements("pip", said.encode(), "lines") == said


def test_the_lock_of_this_project_is_read() -> None:
    data = (ROOT / "requirements.lock").read_bytes()
    pins = package_locks.pinned("pip", data, "requirements.lock")
    lines = package_locks.requirements("pip", data, "requirements.lock")
    assert pins and len(pins) > 100 and package_locks.pinned("pip", lines.encode(), "lines") == pins
    assert lines.count("--hash=") == data.count(b"--hash=")


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("pip", "numpy==1.0\n", "no digest of numpy"),
        ("poetry", POETRY.replace("sha256", "md5"), "no SHA-256 of the files of numpy"),
        ("poetry", POETRY.replace('name = "numpy"', 'name = "numpy"\nsource = {type = "git", url = "u"}'), "numpy"),
        ("pylock", PYLOCK.replace("[packages.sdist]", "[packages.vcs]"), "no SHA-256"),
        *((kind, "", f"is of {kind}") for kind in ("pdm", "pipenv", "pixi", "conda", "uv")),
    ],
)
def test_nothing_without_digests_is_installed(kind: LockTool, text: str, told: str) -> None:
    with pytest.raises(Unavailable, match=told) as refused:
        package_locks.requirements(kind, text.encode(), "lock")
    assert "--environment current --python" in refused.value.mend


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org", "-r other.txt", "-e .", "numpy", "numpy>=1", "numpy @ file:///etc/passwd",
        f"numpy==1 --hash={DIGEST} --config-settings=x", f"numpy==1;x --hash={DIGEST} --global-option=y", "./numpy",
        f"numpy==1 --hash=md5:{'a' * 32}", "git+https://example.org/a.git",
    ],
)  # fmt: skip
def test_a_line_that_does_more_than_pin_is_refused(line: str) -> None:
    with pytest.raises((Malformed, Unavailable), match=r"does not pin one version|no digest of numpy"):
        package_locks.requirements("pip", line.encode(), "lock")


@pytest.mark.parametrize("marker", ["os_name == 'x' #", "os_name == 'x;y'", "os_name == '--hash'", "junk", "x" * 2000])
def test_a_marker_that_could_say_more_is_refused(marker: str) -> None:
    text = POETRY.replace('"python_version >= \\"3.11\\""', json.dumps(marker))
    with pytest.raises(Malformed, match="the marker"):
        package_locks.requirements("poetry", text.encode(), "lock")


words = st.text(st.sampled_from('ab.=-;"\\\n[]{} #1>'), max_size=20)
tables = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(words, st.just("numpy"), st.integers()),
        "version": st.one_of(words, st.just("1.0"), st.none()),
        "markers": st.one_of(words, st.just("os_name == 'posix'"), st.dictionaries(words, words, max_size=2)),
        "marker": st.one_of(words, st.just("os_name == 'posix'")),
        "files": st.lists(st.dictionaries(st.just("hash"), st.one_of(words, st.just(DIGEST))), max_size=2),
        "wheels": st.lists(st.fixed_dictionaries({"hashes": st.dictionaries(st.just("sha256"), words)}), max_size=2),
        "groups": st.lists(st.sampled_from(["main", "dev"]), max_size=2),
        "source": st.dictionaries(words, words, max_size=2),
    },
)


def toml(key: str, rows: list[dict[str, object]]) -> bytes:
    """The rows as TOML, each value written as an inline one."""
    return "".join(
        f"[[{key}]]\n" + "".join(f"{name} = {_inline(value)}\n" for name, value in row.items() if value is not None)
        for row in rows
    ).encode()


def _inline(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(name)} = {_inline(one)}" for name, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def _told(read: Callable[[], str]) -> str | None:
    try:
        return read()
    except (Malformed, Unavailable):
        return None


def _is_plain(text: str) -> None:
    """Each line is one requirement of one version, with digests, by packaging's own reader."""
    for line in text.splitlines():
        said, *hashes = re.split(r" +--hash=", line)
        found = Requirement(said)
        assert [one.operator for one in found.specifier] == ["=="] and found.url is None and hashes
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each.strip()) for each in hashes)


@given(st.lists(tables, max_size=3), st.sampled_from(["poetry", "pylock"]))
def test_of_any_tables_the_lines_only_pin(rows: list[dict[str, object]], kind: LockTool) -> None:
    data = toml("packages" if kind == "pylock" else "package", rows)
    _is_plain(_told(lambda: package_locks.requirements(kind, data, "lock")) or "")
    _told(lambda: str(package_locks.pinned(kind, data, "lock")))


@given(st.one_of(st.binary(max_size=200), words.map(str.encode)), st.sampled_from(TOOLS))
@example(b"[" * 100_000, "uv")
@example(b"a = " + b"[" * 100_000, "poetry")
@example(b"{" * 100_000, "pipenv")
@example(b" " * 1_000_000, "pip")
@example(b"a==1 ;" + b" " * 1_000_000 + b"-", "pip")
def test_of_any_bytes_nothing_else_is_raised(data: bytes, kind: LockTool) -> None:
    _told(lambda: package_locks.requirements(kind, data, "lock"))
    _told(lambda: str(package_locks.pinned(kind, data, "lock")))


@given(st.text(st.sampled_from("numpy=1.0-ash:256 \\\n#;[]@/'rf" + "a"), max_size=80))
def test_of_any_requirements_only_pins_are_left(text: str) -> None:
    data = f"{text} --hash={DIGEST}".encode()
    _is_plain(_told(lambda: package_locks.requirements("pip", data, "lock")) or "")


@given(st.from_regex(package_locks.NAME, fullmatch=True))
def test_the_normal_name_is_that_of_packaging(name: str) -> None:
    assert package_locks.normal_name(name) == canonicalize_name(name)


def test_every_lock_has_a_tool() -> None:
    assert set(layout.LOCK_TOOLS.values()) == set(TOOLS) and Path(layout.LOOSE).name in layout.PACKAGE_LOCKS
