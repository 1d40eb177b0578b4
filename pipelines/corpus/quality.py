"""What a text is like, by a few figures that tell prose and code from noise.

Source: Rae et al., Scaling Language Models (Gopher), appendix A1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipelines.params import Quality
from registry.records.data_row import Reason


@dataclass(frozen=True)
class TextFigures:
    """The figures of one text."""

    text: str
    """The text."""

    @cached_property
    def words(self) -> list[str]:
        """What stands between spaces."""
        return self.text.split()

    @property
    def word_length(self) -> float:
        """Mean length of a word; 0 where there is none."""
        return sum(map(len, self.words)) / len(self.words) if self.words else 0.0

    @property
    def symbols(self) -> float:
        """How many `#` and `...` there are to a word."""
        return (self.text.count("#") + self.text.count("...")) / max(1, len(self.words))

    @property
    def letters(self) -> float:
        """The share of words that have a letter; 1 for a text without words."""
        with_letters = sum(any(map(str.isalpha, word)) for word in self.words)
        return with_letters / len(self.words) if self.words else 1.0

    @property
    def repeated_lines(self) -> float:
        """The share of lines with text that stand above already."""
        lines = [line for raw in self.text.splitlines() if (line := raw.strip())]
        return 1 - len(set(lines)) / len(lines) if lines else 0.0


def objection(text: str, wanted: Quality) -> Reason | None:
    """The first rule of `wanted` that the text breaks; None for none."""
    figures = TextFigures(text)
    return next((reason for reason, breaks in RULES.items() if breaks(figures, wanted)), None)


def _outside(least: float | None, value: float, most: float | None) -> bool:
    return (least is not None and value < least) or (most is not None and value > most)


RULES: Mapping[Reason, Callable[[TextFigures, Quality], bool]] = {
    "few-words": lambda found, wanted: _outside(wanted.min_words, len(found.words), None),
    "many-words": lambda found, wanted: _outside(None, len(found.words), wanted.max_words),
    "word-length": lambda found, wanted: _outside(wanted.min_word_length, found.word_length, wanted.max_word_length),
    "symbols": lambda found, wanted: _outside(None, found.symbols, wanted.max_symbols),
    "letters": lambda found, wanted: _outside(wanted.min_letters, found.letters, None),
    "repeated-lines": lambda found, wanted: _outside(None, found.repeated_lines, wanted.max_repeated_lines),
}
"""By the reason that a manifest gives, in the order in which they are asked."""
