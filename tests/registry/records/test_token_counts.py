"""registry.records.token_counts: the counts of tokens lead, with the manifest, to the indexes, or are refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import sha256_bytes
from registry.errors import InputError, VerificationError
from registry.records import token_counts
from registry.records.data_row import Row, Use
from registry.records.token_counts import Next, PlacedRow, from_counts, from_indexes
from registry.records.tokens import INDEX_ROW, SPLITS, Split, Tokens
from tests.registry.records.test_tokens import record as tokens_record

COUNTS = (3, 2, 4, 1)
USES: tuple[Use, ...] = ("train", "validation", "train", "excluded", "validation")


def rows() -> list[Row]:
    return [
        Row(
            source="s", path=f"{n}", sha256=f"{n:064x}", size=9, license="MIT", use=use,
            reason="size" if use == "excluded" else None,
        )
        for n, use in enumerate(USES)
    ]  # fmt: skip


def indexes() -> dict[str, bytes]:
    """The index of each split, as encode writes it."""
    ends, found = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, b"")
    for row, count in zip([row for row in rows() if row.use != "excluded"], COUNTS, strict=True):
        ends[row.use] += count
        found[row.use] += INDEX_ROW.pack(ends[row.use], bytes.fromhex(row.sha256))
    return found


def record() -> Tokens:
    """tokens.json, as far as its indexes are concerned."""
    said = tokens_record()
    sizes = {"train": 7, "validation": 3}
    files = tuple(
        file.model_copy(update={"sha256": sha256_bytes(indexes()[file.path.partition(".")[0]])})
        if file.path.endswith(".index")
        else file
        for file in said.files
    )
    splits = said.splits.model_copy(update={name: Split(tokens=n, documents=2, size=18) for name, n in sizes.items()})
    return said.model_copy(update={"files": files, "splits": splits})


def following(counts: tuple[int, ...]) -> Next:
    return from_counts(io.BytesIO(b"".join(map(token_counts.line, counts))))


def test_each_document_has_its_tokens(tmp_path: Path) -> None:
    for split, data in indexes().items():
        (tmp_path / f"{split}.index").write_bytes(data)
    for ways in (following(COUNTS), from_indexes(tmp_path)):
        found = list(token_counts.placed(rows(), record(), ways))
        assert [(each.row.path, each.start, each.end) for each in found] == [
            ("0", 0, 3),
            ("1", 0, 2),
            ("2", 3, 7),
            ("4", 2, 3),
        ]


@pytest.mark.parametrize("counts", [(3, 2, 4, 2), (4, 2, 3, 1), (3, 1, 4, 2), (3, 2, 4), (9, 2, 4, 1), ()])
def test_other_counts_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises((VerificationError, InputError)):
        list(token_counts.placed(rows(), record(), following(counts)))


def other(found: list[Row]) -> list[Row]:
    """The first document is another one."""
    return [found[0].model_copy(update={"sha256": "f" * 64}), *found[1:]]


@pytest.mark.parametrize("change", [lambda found: found[::-1], lambda found: found[1:], other])
def test_other_documents_are_refused(change: Callable[[list[Row]], list[Row]]) -> None:
    with pytest.raises(VerificationError, match=r"tokens\.json"):
        list(token_counts.placed(change(rows()), record(), following(COUNTS)))


@given(st.binary(max_size=40) | st.lists(st.integers(-1, 9)).map(lambda found: b"".join(b"%d\n" % n for n in found)))
def test_hostile_counts_raise_our_error_and_no_other(data: bytes) -> None:
    found: list[PlacedRow] = []
    try:
        found = list(token_counts.placed(rows(), record(), from_counts(io.BytesIO(data))))
    except (InputError, VerificationError) as error:
        assert error.mend
    assert not found or data.startswith(b"3\n2\n4\n1\n")
