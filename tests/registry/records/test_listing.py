"""registry.records.listing: parts that are whole give the files, and any others are refused."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, VerificationError
from registry.files import read_bytes
from registry.records import listing
from registry.records.listing import ReadFile
from registry.records.run import directory_digest, listing_text

NAMES = st.from_regex(r"[a-zé]{1,3}(/[a-z]{1,3})?", fullmatch=True)
FILES = st.dictionaries(NAMES, st.integers(0, 9).map(lambda digit: f"{digit}" * 64), min_size=1, max_size=12)


def written(root: Path, files: dict[str, str]) -> tuple[str, list[str]]:
    """The digest, and where the parts are."""
    digest = directory_digest(files)
    for path, data in listing.parts(digest, listing_text(files).encode()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return digest, listing.places(path.relative_to(root).as_posix() for path in root.rglob("*.txt"))[digest]


def reader(root: Path) -> ReadFile:
    return lambda path, most: read_bytes(root / path, most)


@settings(max_examples=40)
@given(FILES)
def test_parts_give_the_files_in_their_order_and_what_lies_inside(files: dict[str, str]) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PART", 160)
        root = Path(name)
        digest, places = written(root, files)
        assert dict(listing.rows(reader(root), digest, places)) == files
        assert all(0 < len((root / place).read_bytes()) <= 160 for place in places)
        for path in {*files, *(path.partition("/")[0] for path in files)}:
            below = {
                inner.removeprefix(f"{path}/"): sha for inner, sha in files.items() if inner.startswith(f"{path}/")
            }
            expected = (files.get(path), directory_digest(below) if below else None)
            assert listing.inside(listing.rows(reader(root), digest, places), path) == expected
        with pytest.raises(VerificationError):
            list(listing.rows(reader(root), digest, places[:-1]))


@settings(max_examples=40)
@given(FILES, st.binary(max_size=300), st.integers(0, 2000))
def test_other_bytes_are_refused(files: dict[str, str], noise: bytes, at: int) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        digest, [place] = written(root, files)
        data = (root / place).read_bytes()
        (root / place).write_bytes(changed := data[: at % len(data)] + noise + data[at % len(data) :])
        if changed != data:
            with pytest.raises(VerificationError):
                list(listing.rows(reader(root), digest, [place]))


@pytest.mark.parametrize(
    "lines",
    [
        ["{a}  b", "{a}  a"], ["{a}  a", "{a}  a"], ["{a}  ../a"], ["{a}  /a"], ["{a} a"], ["{a}  "], ["", "{a}  a"],
        ["{a}  a\r"], ["A" * 64 + "  a"],
    ],
)  # fmt: skip
def test_lines_that_a_listing_cannot_have_are_refused_whatever_they_hash_to(tmp_path: Path, lines: list[str]) -> None:
    data = "".join(f"{line.format(a='a' * 64)}\n" for line in lines).encode()
    (tmp_path / "0001.txt").write_bytes(data)
    with pytest.raises(VerificationError, match="is not a part of a listing"):
        list(listing.rows(reader(tmp_path), sha256_bytes(data), ["0001.txt"]))


def test_a_part_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, places = written(tmp_path, {"a": "0" * 64, "b": "1" * 64})
    monkeypatch.setattr(listing, "PART", 100)
    with pytest.raises(GlasshouseError, match="more than the 100 bytes"):
        list(listing.rows(reader(tmp_path), digest, places))


@pytest.mark.parametrize("path", ["1.txt", "0001.txt.bak", "a/0001.txt", "../0001.txt"])
def test_a_place_that_is_none_of_a_part_is_refused(path: str) -> None:
    with pytest.raises(VerificationError, match="is not a part"):
        listing.places([f"provenance/listings/{'0' * 64}/{path}"])
    assert listing.places(["provenance/listings", "weights"]) == {}
