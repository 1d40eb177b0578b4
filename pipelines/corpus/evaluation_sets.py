"""What a document has in common with the sets that a model is evaluated on: runs of words.

Words are runs of letters, digits and underscores, in lower case; so neither punctuation nor lines hide a passage. A
passage with fewer words than a run is one run of all its words, if it has MIN_WORDS; a shorter one says too little.

Law: a document that holds a passage of at least MIN_WORDS words has an overlap.
Source: Brown et al., Language Models are Few-Shot Learners, appendix C.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.corpus.documents import opened
from pipelines.corpus.project import TABLES, selected
from pipelines.corpus.tables import reader_of
from pipelines.params import Decontamination
from registry import canonical
from registry.errors import InputError
from registry.records.data_row import Overlap

MIN_WORDS = 8
MAX_FILE = 256 << 20
"""The most bytes of a file that is one passage."""
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(text.lower())


def runs(words: list[str], length: int) -> Iterator[str]:
    """Each run of `length` words."""
    return map(" ".join, zip(*(words[start:] for start in range(length)), strict=False))


@dataclass(frozen=True)
class EvaluationSets:
    """The runs of all passages, each with the first passage that has it."""

    runs: dict[bytes, str]
    """By eight bytes of their hash."""
    lengths: tuple[int, ...]
    """How many words they have: the length that was asked for, and those of shorter passages."""

    @classmethod
    def read(cls, root: Path, wanted: Decontamination) -> EvaluationSets:
        """The passages that `wanted` names below `root`. Raises InputError for none, and for what is not text."""
        return cls.of(_passages(root, wanted), wanted)

    @classmethod
    def of(cls, passages: Iterable[tuple[str, str]], wanted: Decontamination) -> EvaluationSets:
        """The passages, each (what it is called, its text). Raises InputError where none is long enough."""
        found: dict[bytes, str] = {}
        lengths: set[int] = set()
        for name, text in passages:
            words = words_of(text)
            length = min(len(words), wanted.words)
            if length >= min(MIN_WORDS, wanted.words):
                lengths.add(length)
                for run in runs(words, length):
                    found.setdefault(_key(run), name)
        if not found:
            raise InputError(
                "corpus.decontaminate: the files that it includes have no passage that is long enough",
                mend="name the files of the evaluation sets in params.yaml, and their column of text",
            )
        return cls(found, tuple(sorted(lengths)))

    @property
    def digest(self) -> str:
        """The digest of them all."""
        return canonical.digest({"runs": {run.hex(): name for run, name in self.runs.items()}, "lengths": self.lengths})

    def overlap(self, text: str) -> Overlap | None:
        """What the text has in common with them; None for nothing."""
        words = words_of(text)
        met = Counter(
            passage
            for length in self.lengths
            for run in set(runs(words, length))
            if (passage := self.runs.get(_key(run))) is not None
        )
        if not met:
            return None
        most = max(met.values())
        return Overlap(passage=min(name for name, count in met.items() if count == most), ngrams=met.total())


def _key(run: str) -> bytes:
    return hashlib.blake2b(run.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _passages(root: Path, wanted: Decontamination) -> Iterator[tuple[str, str]]:
    """(what it is called, the text) of each."""
    for path in selected(root, wanted.include, wanted.exclude, "corpus.decontaminate"):
        with opened(root, path) as stream:
            if not path.endswith(TABLES):
                yield path, _decoded(path, stream.read(MAX_FILE + 1))
                continue
            for number, row in enumerate(reader_of(path)(stream, path)):
                text = row.get(wanted.text)
                if not isinstance(text, str):
                    raise InputError(
                        f"{path}, row {number + 1}, has no text in the column {wanted.text!r}",
                        mend="name the column in corpus.decontaminate.text, or mend the row",
                    )
                yield f"{path}/{number:012d}", text


def _decoded(path: str, data: bytes) -> str:
    try:
        if len(data) > MAX_FILE:
            raise ValueError(f"it has more than {MAX_FILE} bytes")
        return data.decode("utf-8")
    except ValueError as problem:
        raise InputError(
            f"{path} is not a passage of text: {problem}", mend=f"exclude it in corpus.decontaminate: {path}"
        ) from problem
