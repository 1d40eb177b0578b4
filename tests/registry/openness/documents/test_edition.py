"""Who changes a byte of a document raises the edition: then nobody calls the older ones wrong.

edition.json    the edition, and the SHA-256 of each document that the golden release has by it
"""

from __future__ import annotations

from pathlib import Path

from registry import canonical
from registry.digest import sha256_bytes
from registry.openness.documents import every, facts, maker
from tests.registry.openness.documents.conftest import digests

FILE = Path(__file__).with_name("edition.json")


def test_the_documents_of_this_edition_are_as_they_were(trained: Path) -> None:
    found = facts.read(trained, digests(trained))
    made = {document.path: document.render(found, "0+edition.0") for document in every.DOCUMENTS}
    now = {"edition": maker.EDITION, "documents": {path: sha256_bytes(data) for path, data in made.items() if data}}
    assert canonical.read(FILE) == now, (
        f"documents have changed: raise EDITION in {maker.__file__}, unless no release has one of this edition yet, "
        f"and write into {FILE.name}: {canonical.dumps(now).decode()}"
    )
