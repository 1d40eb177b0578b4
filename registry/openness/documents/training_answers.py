"""The public summary of training content, answer by answer: what the records show, what the provider says.

    records     read from a signed record; where that answers a question, nobody is asked
    provider    said in the `release` section: nothing checks it
    nobody      not provided

Source: Regulation (EU) 2024/1689, Art. 53(1)(d); the Commission's template, annex to C(2025) 5235 of 24 July 2025.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from registry.openness.documents import preparation
from registry.openness.documents.facts import ReleaseFacts
from registry.openness.eu import Eu, Modality, ModalityContent
from registry.records.data_manifest import SourceTally

TEMPLATE = "Regulation (EU) 2024/1689, Art. 53(1)(d): template of the Commission, annex to C(2025) 5235, 24 July 2025"
BINS: dict[str, tuple[tuple[int, str], ...]] = {
    "text": ((10**9, "Less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens")),
    "image": ((10**6, "Less than 1 million images"), (10**9, "1 million to 1 billion images")),
    "audio": ((10**4, "Less than 10 000 hours"), (10**6, "10 000 to 1 million hours")),
    "video": ((10**4, "Less than 10 000 hours"), (10**6, "10 000 to 1 million hours")),
}
"""By modality, the template's sizes: below which amount each applies."""
ABOVE = {
    "text": "More than 10 trillion tokens", "image": "More than 1 billion images", "audio": "More than 1 million hours",
    "video": "More than 1 million hours",
}  # fmt: skip
UNITS = {"text": "tokens", "image": "images", "audio": "hours", "video": "hours"}

Value = str | bool | list[str] | None


@dataclass(frozen=True, slots=True)
class Answered:
    """One question of the template, and its answer."""

    question: str
    """In short."""
    value: Value
    """The answer; None where nobody gives one."""
    by: Literal["records", "provider"] | None
    """Who says so."""


@dataclass(frozen=True, slots=True)
class AnsweredSection:
    """A section of the template."""

    number: str
    """As the template numbers it."""
    title: str
    """Its heading."""
    answers: tuple[Answered, ...]
    """What is answered there."""

    @classmethod
    def of(cls, number: str, title: str, answers: Iterable[Answered]) -> AnsweredSection:
        """A section that asks first whether something was used: where not, nothing else is asked that has no answer."""
        first, *rest = answers
        asked = (row for row in rest if first.value is not False or row.value is not None)
        return cls(number, title, (first, *asked))


def sections(facts: ReleaseFacts) -> tuple[AnsweredSection, ...]:
    """Every section of the template, in order, as far as it can be answered."""
    eu = facts.told.eu or Eu()
    return (
        AnsweredSection("1.1", "Provider", tuple(_provider(eu))),
        AnsweredSection("1.2", "Model", tuple(_model(facts, eu))),
        AnsweredSection("1.3", "Modalities, size and characteristics of the data", tuple(_content(facts, eu))),
        AnsweredSection.of("2.1", "Publicly available data sets", _public(facts, eu)),
        AnsweredSection.of("2.2.1", "Data under commercial licences", _licensed(eu)),
        AnsweredSection.of("2.2.2", "Other private data sets of third parties", _third_party(eu)),
        AnsweredSection.of("2.3", "Data crawled and scraped from online sources", _crawled(eu)),
        AnsweredSection("2.4", "User data", tuple(_user(eu))),
        AnsweredSection.of("2.5", "Synthetic data", _synthetic(eu)),
        AnsweredSection.of("2.6", "Other sources of data", _other(facts, eu)),
        AnsweredSection("3.1", "Respect of reservations of rights from text and data mining", tuple(_opt_out(eu))),
        AnsweredSection("3.2", "Removal of illegal content", (_told("Measures", eu.illegal_content),)),
        AnsweredSection("3.3", "Other information on data processing", tuple(_processing(facts, eu))),
    )


def size(modality: str, amount: int) -> str:
    """The size of the template that `amount` falls in, and the amount: tokens, images, or hours."""
    if modality not in BINS:
        return f"{amount:,}"
    name = next((name for most, name in BINS[modality] if amount < most), ABOVE[modality])
    return f"{name} ({amount:,} {UNITS[modality]})"


def _told(question: str, value: Value | tuple[str, ...]) -> Answered:
    """What the provider says, if anything."""
    found: Value = list(value) if isinstance(value, tuple) else value
    given = found is not None and found != []
    return Answered(question, found if given else None, "provider" if given else None)


def _shown(question: str, value: Value, otherwise: Value | tuple[str, ...] = None) -> Answered:
    """What the records show; where they show nothing, what the provider says."""
    return Answered(question, value, "records") if value not in (None, []) else _told(question, otherwise)


def _provider(eu: Eu) -> Iterator[Answered]:
    yield _told("Name and contact of the provider", eu.provider)
    yield _told("Name and contact of the authorised representative", eu.representative)


def _model(facts: ReleaseFacts, eu: Eu) -> Iterator[Answered]:
    base = facts.base.uri if facts.base else None
    yield _shown("Versioned name of the model", f"{facts.record.repo} {facts.record.tag}")
    yield _shown("Made from", base)
    yield _told("The model that it was made from, and its summary", eu.dependencies)
    yield _told("Date of placement on the Union market", eu.placed_on_market)


def _content(facts: ReleaseFacts, eu: Eu) -> Iterator[Answered]:
    for modality in get_args(Modality):
        told = eu.modalities.get(modality, ModalityContent())
        amount = None if told.amount is None else size(modality, told.amount)
        recorded = _recorded(facts) if modality == "text" else None
        if recorded or told != ModalityContent() or modality == "text":
            yield _shown(f"{modality.capitalize()}: size", recorded, amount)
            yield _told(f"{modality.capitalize()}: types of content", told.types)
    yield _told("Latest month of collection", eu.collected_until)
    yield _told("Is the model trained on new data continuously?", eu.continuous)
    yield _told("Languages", facts.told.languages)
    yield _told("Other characteristics", eu.characteristics)
    yield _told("Comments", eu.comments)


def _recorded(facts: ReleaseFacts) -> str | None:
    """How much text the records count."""
    if facts.tokens:
        return size("text", facts.tokens.splits.train.tokens)
    if facts.data:
        return f"{facts.data.splits.train.size:,} bytes of text in {facts.data.splits.train.documents:,} documents"
    return None


def _public(facts: ReleaseFacts, eu: Eu) -> Iterator[Answered]:
    there = _sources(facts, "huggingface")
    yield _shown("Used", True if there else None, eu.public.used)
    yield _told("Modalities", eu.public.modalities)
    yield _shown("Data sets in the data manifest", _listed(facts, map(_described, there)))
    yield _told("Other large data sets", eu.public.names)
    yield _told("Smaller data sets", eu.public.others)
    yield _told("Comments", eu.public.comments)


def _licensed(eu: Eu) -> Iterator[Answered]:
    yield _told("Used", eu.licensed.agreements)
    yield _told("Modalities", eu.licensed.modalities)


def _third_party(eu: Eu) -> Iterator[Answered]:
    yield _told("Used", eu.third_party.obtained)
    yield _told("Modalities", eu.third_party.modalities)
    yield _told("Publicly known data sets", eu.third_party.names)
    yield _told("Others", eu.third_party.description)
    yield _told("Comments", eu.third_party.comments)


def _crawled(eu: Eu) -> Iterator[Answered]:
    said = eu.crawled
    yield _told("Used", said.used)
    yield _told("Names of the crawlers", said.crawlers)
    yield _told("Purposes", said.purposes)
    yield _told("Behaviour", said.behaviour)
    yield _told("Collected from", said.begin)
    yield _told("Collected until", said.end)
    yield _told("Content and kinds of sources", said.content)
    yield _told("Modalities", said.modalities)
    yield _told("Most relevant domains", said.domains)
    yield _told("Comments", said.comments)


def _user(eu: Eu) -> Iterator[Answered]:
    yield _told("Used, of interactions with the model", eu.user.interactions)
    yield _told("Used, of other services of the provider", eu.user.other_services)
    yield _told("Services", eu.user.services)
    yield _told("Modalities", eu.user.modalities)
    yield _told("Comments", eu.user.comments)


def _synthetic(eu: Eu) -> Iterator[Answered]:
    yield _told("Used", eu.synthetic.used)
    yield _told("Modalities", eu.synthetic.modalities)
    yield _told("Models on the market that made it", eu.synthetic.models)
    yield _told("Other models that made it", eu.synthetic.other_models)
    yield _told("Comments", eu.synthetic.comments)


def _other(facts: ReleaseFacts, eu: Eu) -> Iterator[Answered]:
    """What the manifest shows that is not a data set of the Hub: whose it is, the provider says."""
    there = _sources(facts, "installed", "files")
    yield _shown("Used", True if there else None, eu.other.used)
    yield _shown("Sources in the data manifest", _listed(facts, map(_described, there)))
    yield _told("Description", eu.other.description)
    yield _told("Comments", eu.other.comments)


def _opt_out(eu: Eu) -> Iterator[Answered]:
    yield _told("Signatory of the code of practice", eu.opt_out.signatory)
    yield _told("Measures", eu.opt_out.measures)
    yield _told("Comments", eu.opt_out.comments)


def _processing(facts: ReleaseFacts, eu: Eu) -> Iterator[Answered]:
    licences = sorted(facts.data.licenses.items()) if facts.data else []
    yield _shown("Documents left out", _listed(facts, preparation.left_out(facts.data) if facts.data else ()))
    yield _shown("Replaced in the texts", _listed(facts, preparation.replaced(facts.data) if facts.data else ()))
    yield _shown("Licences of the documents", _listed(facts, (f"{name}: {row.documents:,}" for name, row in licences)))
    yield _told("Other information", eu.other_information)


def _sources(facts: ReleaseFacts, *kinds: str) -> list[SourceTally]:
    return [source for source in facts.data.sources if source.kind in kinds] if facts.data else []


def _listed(facts: ReleaseFacts, rows: Iterable[str]) -> Value:
    """What a data manifest shows: `none` where it shows that there is nothing; None where there is no manifest."""
    return list(rows) or (None if facts.data is None else "none")


def _described(source: SourceTally) -> str:
    licence = f"licence {source.license}" if source.license else "each document under its own licence"
    link = f", {source.url}" if source.url else ""
    status = f", {preparation.STATUS[source.status]}" if source.status else ""
    return f"{source.id}{link}: {source.documents:,} documents, {source.size:,} bytes, {licence}{status}"
