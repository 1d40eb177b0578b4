"""registry.manifest: what a directory holds, and how two of them differ."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError
from registry.manifest import MAX_PATH_BYTES, PLAIN, Entry, Manifest, check_path, check_portable, compare, twins, walk

A, B, C = (Entry(path, 1, digit * 64) for path, digit in (("a", "1"), ("b/c", "2"), ("d", "3")))


@given(st.permutations([A, B, C]))
def test_the_order_of_entries_does_not_change_the_digest(entries: list[Entry]) -> None:
    assert Manifest(tuple(entries)).sha256 == Manifest((A, B, C)).sha256


def test_what_is_written_is_read_back() -> None:
    assert Manifest.from_json(Manifest((A, B)).as_json()) == Manifest((A, B))


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_hostile_json_raises_our_error_and_no_other(value: object) -> None:
    try:
        Manifest.from_json(value)
    except InputError as error:
        assert error.mend


@given(st.text())
def test_every_path_is_allowed_or_refused(path: str) -> None:
    try:
        check_path(path)
    except InputError:
        return

    assert not Path(path).is_absolute() and ".." not in Path(path).parts and "\\" not in path and "\0" not in path


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "a\0", "a\n", "C:/a", "e\u0301", "a.", "a /b", "\ud800"],
)
def test_paths_that_mean_two_things_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="not allowed"):
        check_path(path)


def test_a_difference_names_every_path() -> None:
    changed = Entry("a", 1, "9" * 64)
    difference = compare(Manifest((A, B)), Manifest((changed, C)))
    assert (difference.missing, difference.unexpected, difference.altered) == (("b/c",), ("d",), ("a",))
    assert not compare(Manifest((A, B)), Manifest((B, A)))


@pytest.mark.parametrize(
    "paths",
    [
        ("a", "a"), ("a", "A"), ("Data/x", "data/y"), ("a/b/c", "A"), ("a", "a/b"), ("stra\u00dfe", "STRASSE"),
        ("\u00e9/x", "\u00c9/y"), ("x/\ufb01n", "x/fin"), ("deep/er/a", "deep/ER/b"),
    ],
)  # fmt: skip
def test_paths_that_are_one_on_some_disks_are_named(paths: tuple[str, str]) -> None:
    for order in (paths, paths[::-1], ("other", *paths)):
        assert twins(order) and len({unicodedata.normalize("NFC", path.casefold()) for path in twins(order)}) == 1


def test_paths_that_lie_side_by_side_are_no_twins() -> None:
    assert twins(["a/b", "a/c", "ab", "a/d/e", "a/d/f", "b/a"]) == []


def test_two_paths_alike_but_for_case_are_refused() -> None:
    with pytest.raises(InputError, match="only in case"):
        Manifest((Entry("Readme", 1, "1" * 64), Entry("readme", 1, "2" * 64)))


def test_a_directory_is_hashed_whole(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x").write_bytes(b"abc")
    (tmp_path / "y").write_bytes(b"")
    seen: list[int] = []
    manifest = Manifest.of_directory(tmp_path, seen.append)
    assert [entry.path for entry in manifest.entries] == ["sub/x", "y"]
    assert manifest.entries[0].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest.size == sum(seen) == 3


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="link"):
        walk(tmp_path)
    (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is a link or a device"):
        walk(tmp_path)
    with pytest.raises(InputError, match="absent cannot be read: No such file"):
        walk(tmp_path / "absent")


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / str(number)).touch()
    with pytest.raises(InputError, match="more than 3"):
        walk(tmp_path, max_files=3)


@given(st.from_regex(PLAIN, fullmatch=True) | st.text(alphabet="aZ9_-./: \\", max_size=12))
def test_what_is_allowed_at_first_sight_is_allowed_by_the_rules(path: str) -> None:
    if len(path) <= MAX_PATH_BYTES and PLAIN.fullmatch(path):
        parts = path.split("/")
        assert path.isascii() and path.isprintable() and not set(path) & set("\\: ")
        assert all(part not in ("", ".", "..") and not part.endswith((".", " ")) for part in parts)


@pytest.mark.parametrize(
    "path",
    [
        "aux", "CON.txt", "nul.json", "COM1", "lpt9.tar.gz", "com\u00b9", "conin$",
        "README.md:evil", "a*b?", "a<b", 'a"b',
        ".git/config", ".git/hooks/post-checkout", ".GIT/config", "a/.Git/b", "git~1/config", ".g\u200cit/config",
        "READ\u200cME.md", "\ufeffx", "a\u202egnp.exe", "a\u2028b",
        "a\u00a0b", "a\u3000b", " a", "a\ue000", "a\u0378", "\u2066a",
    ],
)  # fmt: skip
def test_names_that_are_not_a_plain_file_everywhere_are_refused_in_a_release(path: str) -> None:
    with pytest.raises(InputError, match="not allowed"):
        check_portable(path)


@pytest.mark.parametrize(
    "path",
    [
        "README.md", ".gitattributes", ".gitignore", "a b.txt", "auxiliary.json", "console", "com10", "a+b=c@d.json",
        "modèle/poids.safetensors", "\u96ea.txt", "\u0939\u093f\u0928\u094d\u0926\u0940.txt",
        "attestations/stage-each@a.sigstore.json",
    ],
)  # fmt: skip
def test_names_that_are_a_plain_file_everywhere_are_allowed(path: str) -> None:
    check_portable(path)


@given(st.text())
def test_what_is_portable_is_allowed_and_printable(path: str) -> None:
    try:
        check_portable(path)
    except InputError as error:
        assert error.mend
        return
    check_path(path)
    assert path.isprintable()
