"""Rows of any table as documents: which column holds the text, and which the licence.

Law: a row is a document, or an InputError that names the row and says what it holds; an empty text is a document, too,
which the filters leave out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from pipelines.corpus import licences
from pipelines.corpus.chat import ChatTemplate
from pipelines.corpus.documents import Document
from pipelines.params import HuggingFace, RowFiles
from registry.errors import InputError
from registry.records.data_row import ID, NO_LICENCE, LicenceBasis

_ORIGIN = re.compile(ID)
CHAT = frozenset({"role", "content"})
"""What each message of a chat has."""


def documents_of(
    rows: Iterable[Mapping[str, Any]],
    wanted: HuggingFace | RowFiles,
    folder: str,
    where: str,
    chat: ChatTemplate | None = None,
    first: int = 0,
) -> Iterator[Document]:
    """The rows as documents named FOLDER/NUMBER, from `first` on. Raises InputError for a row that is none.

    where: what errors call the table that the rows are of.  chat: writes chats, where `wanted` names a column of them.
    """
    stated = licences.normal(wanted.license) if wanted.license else None
    basis: LicenceBasis = "declared" if wanted.license_column is not None else "asserted"
    for number, row in enumerate(rows, first):
        place = f"{where}, row {number + 1}"
        if wanted.messages is not None and chat is not None:
            text = chat.render(_value(row, wanted.messages, place), f"{place}, column {wanted.messages!r}")
        else:
            text = _cell(row, wanted.text, place)
        if wanted.license_column is not None:
            stated = licences.normal(_cell(row, wanted.license_column, place))
        origin = _origin(row, wanted.origin_column, place) if wanted.origin_column is not None else None
        yield Document.of_text(f"{folder}/{number:012d}", stated or NO_LICENCE, text, basis, origin)


def _cell(row: Mapping[str, Any], column: str, place: str) -> str:
    """The text in a column, empty where there is nothing."""
    value = _value(row, column, place)
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(f"{place}: column {column!r} holds {_described(value)}, not text")
    return value


def _origin(row: Mapping[str, Any], column: str, place: str) -> str | None:
    """Where a row says that it comes from; None where it does not. Raises InputError for what a manifest cannot say."""
    found = _cell(row, column, place)
    if found and not _ORIGIN.fullmatch(found):
        raise InputError(
            f"{place}: column {column!r} holds {found[:80]!r}, not a line of at most 500 characters",
            mend="leave origin_column out of params.yaml, or mend the row",
        )
    return found or None


def _value(row: Mapping[str, Any], column: str, place: str) -> object:
    if column not in row:
        _refuse(f"{place} has no column {column!r}; it has {', '.join(sorted(map(str, row)))[:300]}")
    return row[column]


def _described(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict) and value[0].keys() >= CHAT:
        return "a chat (name it as `messages`, with a corpus.chat_template)"
    return f"a value of type {type(value).__name__}"


def _refuse(found: str) -> NoReturn:
    raise InputError(found, mend="name a column of text in params.yaml (text, license_column), or mend the row")
