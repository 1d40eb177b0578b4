"""The corpus stage: params.yaml and its sources -> build/corpus/."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines import params
from pipelines.corpus import OUT, parquet, streaming
from pipelines.corpus.chat import NAME, ChatTemplate
from pipelines.corpus.documents import Reader
from pipelines.corpus.hub import HubReader
from pipelines.corpus.installed import InstalledReader
from pipelines.corpus.judge import Judge
from pipelines.corpus.looking import Look, ready
from pipelines.corpus.project import ProjectReader
from pipelines.corpus.rules import Rules
from pipelines.corpus.tables import TableReader
from pipelines.params import Files, HuggingFace, Installed, Params, RowFiles
from registry.errors import InputError
from registry.files import directory_beside, write_atomic
from registry.records import data_manifest
from registry.records.data_manifest import Summary
from registry.records.data_row import Row


def write(settings: Params, root: Path, out: Path) -> Summary:
    """Make `out` anew: documents.parquet and the data manifest. Raises InputError where a split comes out empty."""
    template = settings.corpus.chat_template
    chat = None if template is None else ChatTemplate(template)
    readers = sorted(
        (_reader(source, root, chat, out) for source in settings.corpus.sources), key=lambda reader: reader.source.id
    )
    rules = Rules.read(settings.corpus, root)
    with (
        streaming.until_done(out),
        ready(rules, settings.engine, out) as look,
        directory_beside(out) as folder,
        parquet.Writer(folder / parquet.NAME) as writer,
    ):
        judge = Judge(settings.corpus, settings.seed, rules)
        rows = _rows(readers, look, judge, writer, settings.corpus.filters.max_bytes)
        if template is not None:
            write_atomic(folder / NAME, template.encode())
        summary = data_manifest.write(folder, rows, [reader.source for reader in readers], settings.corpus.manifest)
        for name, split in (("train", summary.splits.train), ("validation", summary.splits.validation)):
            if not split.documents:
                raise InputError(
                    f"no document is left for {name}; excluded: {summary.excluded}",
                    mend=_mend(summary),
                )
    return summary


def _mend(summary: Summary) -> str:
    """What to do where a split is empty, by what most documents were excluded for."""
    most = max(summary.excluded, key=lambda reason: summary.excluded[reason], default=None)
    if most == "license":
        return (
            "state the licence of each source in params.yaml (license, license_column), or allow it in corpus.filters"
        )
    return "loosen corpus.filters in params.yaml, or move validation_fraction"


def _reader(
    source: Installed | Files | RowFiles | HuggingFace, root: Path, chat: ChatTemplate | None, out: Path
) -> Reader:
    match source:
        case Installed():
            return InstalledReader.open(source)
        case Files():
            return ProjectReader(source, root)
        case RowFiles():
            return TableReader(source, root, chat)
        case HuggingFace():
            return HubReader(source, chat, streaming.folder(out))


def _rows(
    readers: Sequence[Reader],
    look: Look,
    judge: Judge,
    writer: parquet.Writer,
    max_bytes: int,
) -> Iterator[Row]:
    """A row for each document; what is used goes to `writer` on the way, so that no text is held longer."""
    for reader in readers:
        source = reader.source.id
        for looked in look(reader.documents(max_bytes)):
            row = judge.settle(looked, source)
            if row.reason is None and looked.document.data is not None:
                writer.add(row, looked.document.data)
            yield row


def main() -> None:
    """Build the corpus that params.yaml in the current directory describes."""
    summary = write(params.load(), Path(), OUT)
    for name, split in (("train", summary.splits.train), ("validation", summary.splits.validation)):
        print(f"{name}: {split.documents} documents, {split.size} bytes")
    for reason, count in sorted(summary.excluded.items()):
        print(f"excluded for {reason}: {count}")
    for kind, count in sorted((summary.scrubbed or {}).items()):
        print(f"replaced {kind}: {count}")
    print(f"root: {summary.root}")
