"""Which language a text is in: the one door to py3langid, whose model comes in its wheel.

The model is a naive Bayes classifier over n-grams of bytes. Its scores are added up here as integers, so that no
processor and no library of linear algebra rounds them otherwise.

Law: a text has the same language everywhere. Only its first MAX_CHARACTERS are looked at.
Source: Lui and Baldwin, langid.py: An Off-the-shelf Language Identification Tool (ACL 2012).
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import InputError
from registry.extras import needed

MAX_CHARACTERS = 8192
UNKNOWN = "und"
"""What BCP 47 calls a language that cannot be told: of a text in which the model knows nothing."""
SCALE = 1 << 20
"""Steps to one. The model's numbers are below 16: as so many steps they fit 32 bits, and their sums 64."""


@dataclass(frozen=True)
class Identifier:
    """The model."""

    automaton: tuple[Any, list[int], Any]
    """What finds n-grams, as py3langid walks it."""
    table: NDArray[np.int32]
    """How much each n-gram speaks for each language."""
    prior: NDArray[np.int64]
    """How much speaks for each before anything is read."""
    languages: tuple[str, ...]
    """Their tags; one may stand for several scripts."""

    def of(self, text: str) -> str:
        """The language of `text`, as a tag of BCP 47."""
        from py3langid.langid import visit_counts

        text = text[:MAX_CHARACTERS]
        data = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8", "surrogatepass")
        counts = visit_counts(*self.automaton, data)
        if not counts:
            return UNKNOWN
        weights = np.array([_weight(count) for count in counts.values()], np.int64)
        scores = weights @ self.table[list(counts)].astype(np.int64) + self.prior * SCALE
        return self.languages[int(scores.argmax())]


@cache
def _weight(count: int) -> int:
    return round(math.log1p(count) * SCALE)


@cache
def identifier() -> Identifier:
    """The model of the wheel. Raises Unavailable where the extra `languages` is not installed."""
    with needed("languages"):
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    found = LanguageIdentifier.from_model_file(MODEL_FILE)
    rows = [row << 8 for row in found.tk_row]
    return Identifier(
        automaton=(found.tk_nextmove, rows, found.tk_output),
        table=_exact(found.nb_ptc).astype(np.int32),
        prior=_exact(found.nb_pc),
        languages=tuple(found.nb_classes),
    )


def check(allowed: tuple[str, ...]) -> None:
    """Raise InputError for a language that the model does not know."""
    known = {*identifier().languages, UNKNOWN}
    if strange := sorted(set(allowed) - known):
        raise InputError(
            f"corpus.languages.allowed: {strange[0]!r} is not a language that py3langid tells",
            mend=f"name some of: {', '.join(sorted(known))}",
        )


def _exact(numbers: Any) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.rint(np.asarray(numbers, np.float64) * SCALE).astype(np.int64)
    return found
