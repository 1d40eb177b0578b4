"""The rules asked of all documents, by the engine that params.yaml names; the answers come in the documents' order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines import stage
from pipelines.corpus import shards
from pipelines.corpus.documents import Document
from pipelines.corpus.rules import RuledDocument, Rules
from pipelines.engine.choice import started
from pipelines.engine.identity import own_identity
from pipelines.engine.kept import KeptAnswers
from pipelines.engine.work import answers
from pipelines.params import EngineSettings


@dataclass(frozen=True)
class RulesWork:
    """The rules, as work on shards."""

    rules: Rules
    """The rules."""

    @property
    def digest(self) -> str:
        """The digest of the rules."""
        return self.rules.digest

    def __call__(self, shard: bytes) -> bytes:
        """What the rules say of each document of a shard."""
        return shards.answer(map(self.rules.look, shards.unpacked(shard)))


class Look(Protocol):
    """What the rules say of documents."""

    def __call__(self, documents: Iterable[Document]) -> Iterator[RuledDocument]:
        """In order."""


@contextmanager
def ready(rules: Rules, wanted: EngineSettings, out: Path) -> Iterator[Look]:
    """Gives what asks `rules`, for the stage that writes `out`, and shows a person how far it is.

    Rules that take long are shared among the engine's processes, and what they said is kept until the stage has ended
    well. Rules that ask for little more than the bytes are asked here: to send the bytes elsewhere takes as long.
    """
    if not rules.heavy:
        with stage.progress("corpus: documents") as advance:
            yield lambda documents: _one_by_one(rules, documents, advance)
        return
    work = RulesWork(rules)
    with (
        KeptAnswers.beside(out, f"{own_identity()} {work.digest}") as kept,
        started(wanted, work) as engine,
        stage.progress("corpus: shards") as advance,
    ):

        def look(documents: Iterable[Document]) -> Iterator[RuledDocument]:
            for answer in answers(engine, shards.in_shards(documents), kept, advance):
                yield from shards.answered(answer)

        yield look


def _one_by_one(rules: Rules, documents: Iterable[Document], advance: stage.Advance) -> Iterator[RuledDocument]:
    for document in documents:
        yield rules.look(document)
        advance(1)
