"""training-summary.json and .md: the public summary of training content that the EU asks of a model's provider.

    training-summary.json    for machines: each section, each question, its answer, and who says so
    training-summary.md      the same for people

Both are made where there is a data manifest, or where the provider says something for them. What nobody answers is
said to be not provided. Law: the same facts give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from registry.errors import Malformed
from registry.openness import markdown
from registry.openness.documents import maker, training_answers
from registry.openness.documents.facts import ReleaseFacts
from registry.openness.documents.training_answers import TEMPLATE, AnsweredSection, Value

SCHEMA = "glasshouse.training-summary/v1"
NOT_PROVIDED = "*not provided*"
MAX_ANSWER = 40_000
"""Characters of an answer in the table."""
MADE_BY = re.compile(rf"^Made by {maker.NAME} (\S{{1,100}}) from the records below\.$", re.MULTILINE)
SECTION = re.compile(r"### ([0-9.]{1,10}) .*|## Records")
BEGIN, END, BETWEEN = "| ", " |", " | "
"""How a row of a table is written."""


def render(facts: ReleaseFacts, version: str) -> dict[str, Any] | None:
    """training-summary.json, as the maker of that version writes it; None where there is nothing to say."""
    if not _applies(facts):
        return None
    return {
        "schema": SCHEMA,
        "madeBy": {"name": maker.NAME, "version": version},
        "template": TEMPLATE,
        "model": facts.record.repo,
        "version": facts.record.version,
        "lastUpdate": facts.record.source.committed_at[:10],
        "sections": [_section(section) for section in training_answers.sections(facts)],
        "renderedFrom": facts.rendered_from,
    }


def made_by(document: Any) -> Any:
    """The version of Glasshouse that it names as its maker. Raises LookupError or TypeError where it names none."""
    return document["madeBy"]["version"] if document["madeBy"]["name"] == maker.NAME else ""


def said(document: Any) -> Iterator[tuple[str, Any]]:
    """What it says, fact by fact, to be held to the records. Raises as `made_by` does."""
    yield from ((name, document[name]) for name in ("model", "version", "lastUpdate"))
    for section in document["sections"]:
        for row in section["answers"]:
            yield f"{section['number']} {row['question']}", [row["answer"], row["saidBy"]]
    yield from ((f"record {path}", sha256) for path, sha256 in document["renderedFrom"].items())


def page(facts: ReleaseFacts, version: str) -> bytes | None:
    """training-summary.md, likewise."""
    if not _applies(facts):
        return None
    return "\n".join(_lines(facts, version)).encode()


def read_page(data: bytes) -> str:
    """The text of a page. Raises Malformed for other bytes than UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        raise Malformed("the summary is not UTF-8 text", mend="ask the maintainer what it is") from problem


def page_made_by(text: str) -> str:
    """The version of Glasshouse that a page names as its maker; "" where it names none, or several."""
    found = MADE_BY.findall(text)
    return found[0] if len(found) == 1 else ""


def page_said(text: str) -> Iterator[tuple[str, Any]]:
    """What the tables of a page say, row by row."""
    number = ""
    for line in text.splitlines():
        if section := SECTION.fullmatch(line):
            number = section[1] or "record"
        elif line.startswith(BEGIN) and line.endswith(END):
            cells = line[len(BEGIN) : -len(END)].split(BETWEEN)
            if len(cells) > 2:
                yield f"{number} {cells[0]}".strip(), [BETWEEN.join(cells[1:-1]), cells[-1]]


def _applies(facts: ReleaseFacts) -> bool:
    return facts.data is not None or facts.told.eu is not None


def _section(section: AnsweredSection) -> dict[str, Any]:
    rows = [{"question": row.question, "answer": row.value, "saidBy": row.by} for row in section.answers]
    return {"number": section.number, "title": section.title, "answers": rows}


def _lines(facts: ReleaseFacts, version: str) -> Iterator[str]:
    record = facts.record
    yield f"# Public summary of training content: {markdown.line(facts.title)}"
    yield ""
    yield f"{TEMPLATE}."
    yield ""
    yield f"Made by {maker.NAME} {version} from the records below."
    yield ""
    yield "*records*: read from a signed record of the release. *provider*: said by the provider, checked by nobody."
    yield from ("", "| | | said by |", "|---|---|---|")
    for name, value in (
        ("Model", record.repo),
        ("Version of the summary", record.version),
        ("Last update", record.source.committed_at[:10]),
    ):
        yield f"| {name} | {markdown.cell(value)} | records |"
    for part, title in (("1", "General information"), ("2", "Sources of the data"), ("3", "Processing of the data")):
        yield from ("", f"## {part} {title}")
        for section in training_answers.sections(facts):
            if section.number.startswith(f"{part}."):
                yield from ("", f"### {section.number} {section.title}", "", "| | | said by |", "|---|---|---|")
                yield from (f"| {row.question} | {_answer(row.value)} | {row.by or ''} |" for row in section.answers)
    yield from ("", "## Records", "", "| | SHA-256 | |", "|---|---|---|")
    yield from (f"| {markdown.cell(path)} | {sha256} |  |" for path, sha256 in facts.rendered_from.items())
    yield ""


def _answer(value: Value) -> str:
    match value:
        case None:
            return NOT_PROVIDED
        case bool():
            return "Yes" if value else "No"
        case str():
            return markdown.cell(value, MAX_ANSWER)
    return "<br>".join(markdown.cell(item, MAX_ANSWER) for item in value)
