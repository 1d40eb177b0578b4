"""Are the documents in a release what its records say? A wrong one is seen, an old one is not called wrong.

    made by this version, and edition    byte for byte what the records give
    made by another one                  fact by fact: another fact is FAIL, one that is missing or unheard of UNKNOWN;
                                         an older edition tells less, and cites the record of the release all the same
    not said to be made by Glasshouse    UNKNOWN: it stands where ours stand, and nobody can tell what it is worth

A release without documents is asked for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from registry.errors import Malformed, Unavailable
from registry.files import read_bytes
from registry.openness.documents import facts, maker
from registry.openness.documents.every import DOCUMENTS, Form
from registry.openness.documents.facts import ReleaseFacts
from registry.provenance.stage_lineage import Gap
from registry.report import Check, Step, ask

MAX_BYTES = 64 << 20
MAX_TOLD = 200
"""Characters of a value in an answer."""
ASK = "ask the maintainer what it is"


def checks(root: Path, digests: Mapping[str, str]) -> Iterator[Check]:
    """An answer for each document of the release at `root`, whose files have the SHA-256 `digests` by path."""
    gathered = cache(lambda: facts.read(root, digests))
    for document in DOCUMENTS:
        if document.path in digests:
            yield ask(Step.LINEAGE, f"{document.path} <- records", partial(_agrees, root, document, gathered))


def _agrees(root: Path, document: Form, gathered: Callable[[], ReleaseFacts]) -> str:
    """How far the document is as the records say, in words. Raises Gap, Malformed or Unavailable where it is not."""
    data, found = read_bytes(root / document.path, MAX_BYTES), gathered()
    if data == document.render(found, maker.OURS):
        return f"byte for byte what {maker.NAME} {maker.OURS} makes of the records"
    value = document.read(data)
    with of_its_form(document):
        version = document.made_by(value)
        if not isinstance(version, str) or not maker.VERSION.fullmatch(version):
            raise Unavailable(f"it does not say which version of {maker.NAME} made it", mend=ASK)
        said = document.facts(value)
    expected = document.render(found, version)
    if expected is None:
        raise Gap("the release has no record of what it tells of")
    with of_its_form(document):
        known = document.facts(document.read(expected))
    for name in sorted(known.keys() & said.keys()):
        if said[name] != known[name]:
            raise Gap(f"{_short(name)}: it says {_short(said[name])}, the records {_short(known[name])}")
    silent, odd = known.keys() - said.keys(), sorted(known.keys() ^ said.keys())
    if version == maker.OURS:
        told = f"{'it says' if odd[0] in said else 'it leaves out'} {_short(odd[0])}" if odd else _line(data, expected)
        raise Gap(f"it is not what {maker.NAME} {version} makes of the records: {told}")
    amiss = [name for name in odd if name in said or not maker.is_older(version) or maker.RELEASE in name]
    if amiss:
        words = "it does not say" if amiss[0] in known else "it says what these records do not:"
        raise Unavailable(f"made by {maker.NAME} {version}, {words} {_short(amiss[0])}", mend=ASK)
    more = f"; {len(silent)} that are told today are not in it" if silent else ""
    return f"made by {maker.NAME} {version}: {len(said)} facts in it are as the records have them{more}"


@contextmanager
def of_its_form(document: Form) -> Iterator[None]:
    """Within: a value of another shape than such a document has is Malformed."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        raise Malformed(f"{document.path} is not of the form that {maker.NAME} writes", mend=ASK) from problem


def _line(found: bytes, expected: bytes) -> str:
    """The first line that differs."""
    rows = zip(found.splitlines(), expected.splitlines(), strict=False)
    number, line = next(((n, a) for n, (a, b) in enumerate(rows, 1) if a != b), (0, b"its end"))
    return f"line {number}, {_short(line.decode(errors='replace').strip())}"


def _short(value: Any) -> str:
    return str(value)[:MAX_TOLD]
