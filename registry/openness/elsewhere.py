"""How open any repository on a Hub is, by what `SeenRepository` holds: a pure function, which trusts nobody.

    a file in the tree, by its name     it counts, under the licence that the repository names
    what the card says                  `claimed`: a licence counts with that word, a link or a section is unknown
    neither                             missing
    what others cannot fetch            missing: it is gated, or private

Laws: whatever the card holds, there is an answer; a repository without a licence reaches no class; nothing is counted
that a link alone speaks for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from registry.hub.conventions import is_weights
from registry.openness import licences
from registry.openness.assessment import Assessment, Judged, licensed, missing, unknown
from registry.openness.custom_names import is_called, is_data
from registry.openness.licences import MAX_LENGTH
from registry.openness.seen import SeenRepository
from registry.records import layout
from registry.records.kinds import CONFIG
from registry.records.openness_record import EvidenceFile

MAX_NAMED = 100
"""Files that one component names, at most."""
MAX_PATH = 1024
CODE_HOST = re.compile(r"https?://(?:www\.)?(?:github\.com|gitlab\.com|codeberg\.org|bitbucket\.org)/[\w.-]+/[\w.-]+")
PAPER = re.compile(r"https?://(?:www\.)?(?:arxiv\.org/(?:abs|pdf)/|doi\.org/|openreview\.net/)[\w./?=-]{3,100}")
RESULTS = re.compile(r"^#{1,6}[^\n]{0,80}(?:evaluation|results|benchmark|performance)", re.IGNORECASE | re.MULTILINE)
MAX_TEXT = 1 << 20
"""Characters of a card that are searched."""


def assess(seen: SeenRepository, name: str) -> Assessment:
    """How open the repository is; `name` is what a reader calls it."""
    return Assessment.of(name, _Look(seen).judged())


def stated(seen: SeenRepository) -> tuple[str | None, str]:
    """(licence, how it is known) of a repository; (None, why) where it names none, or names two."""
    named = seen.fields.get("license")
    names = [str(item) for item in (named if isinstance(named, list) else [named]) if item]
    told = " AND ".join(names) if 0 < len(names) < 10 else ""
    if seen.licence is not None:
        path, text = seen.licence
        if told and (other := licences.contradicts(text, told)):
            return None, f"the card claims {told[:60]}, and {path} is the text of {other}"
        if not told:
            found = licences.of_text(text)
            return found, f"by the text of {path}" if found else f"the licence in {path} is not known by its words"
    if not told or told in ("unknown", "none") or len(told) > MAX_LENGTH:
        return None, ""
    return told, "claimed by the card"


class _Look:
    def __init__(self, seen: SeenRepository) -> None:
        self._seen, self._text = seen, (seen.text or "")[:MAX_TEXT]
        self._licence, self._how = stated(seen)

    def judged(self) -> Iterator[Judged]:
        """Each component."""
        yield self._architecture()
        yield self._there("model-parameters-final", "weights", filter(is_weights, self._seen.files))
        yield self._card()
        yield self._data_card()
        yield self._paper("technical-report")
        yield self._results()
        yield self._called("sample-outputs") or missing("sample-outputs", "no file is called so")
        for name in ("training-code", "inference-code", "evaluation-code"):
            yield self._code(name)
        yield self._called("evaluation-data") or self._evaluation_data()
        yield self._code("supporting-libraries")
        yield self._datasets()
        yield self._code("data-preprocessing-code")
        yield self._intermediate()
        yield self._paper("research-paper")
        yield self._there("model-metadata", "the metadata of the card", [layout.CARD] if self._seen.fields else [])

    def _there(self, name: str, words: str, paths: Iterable[str], of: SeenRepository | None = None) -> Judged:
        """A component that is these files of the repository."""
        found = _files(self._seen if of is None else of, paths)
        if not found:
            return missing(name, f"the repository has no {words}")
        return self._under(name, f"{words}: {_listed(found)}", found)

    def _under(self, name: str, words: str, files: Collection[EvidenceFile]) -> Judged:
        if self._seen.closed:
            return missing(name, f"{words}; {self._seen.closed}", licence=self._licence, files=files)
        if self._licence is None and self._how:
            return unknown(name, f"{words}; {self._how}", files=files)
        if self._licence is None:
            why = f"{words}; no licence: neither the card nor a licence file names one"
            return missing(name, why, files=files)
        return licensed(name, f"{words}; its licence is {self._how}", self._licence, files)

    def _called(self, name: str) -> Judged | None:
        """A component whose files are called so; None where there are none."""
        paths = [path for path in self._seen.files if is_called(name, path)]
        found = _files(self._seen, paths)
        return self._under(name, f"called so: {_listed(found)}", found) if found else None

    def _architecture(self) -> Judged:
        name, config = "model-architecture", self._seen.config
        if found := self._called(name):
            return found
        if not isinstance(config, dict):
            return self._code(name)
        files = _files(self._seen, [CONFIG])
        if config.get("auto_map"):
            return unknown(name, "config.json names code that is not in the repository", files=files)
        if config.get("model_type") or config.get("architectures"):
            return self._under(name, "config.json says what the model is built of", files)
        return unknown(name, "config.json does not say what the model is built of", files=files)

    def _card(self) -> Judged:
        if self._seen.text is None and layout.CARD in self._seen.files:
            if self._seen.closed:
                return missing("model-card", f"README.md may not be read; {self._seen.closed}")
            return unknown("model-card", "README.md could not be read")
        has_text = bool(self._text.strip())
        return self._there("model-card", "card with a text", [layout.CARD] if has_text else [])

    def _code(self, name: str) -> Judged:
        if found := self._called(name):
            return found
        if link := CODE_HOST.search(self._text):
            return unknown(name, f"claimed: the card links to {link[0]}, which was not looked at")
        if self._seen.text is None:
            return unknown(name, "no file is called so, and the card cannot be seen")
        return missing(name, "no file is called so, and the card names no other place")

    def _paper(self, name: str) -> Judged:
        if found := self._called(name):
            return found
        tags = self._seen.fields.get("tags")
        arxiv = [tag for tag in (tags if isinstance(tags, list) else []) if str(tag).startswith("arxiv:")]
        link = PAPER.search(self._text)
        if link or arxiv:
            place = link[0] if link else str(arxiv[0])[:100]
            return unknown(name, f"claimed: the card links to {place}, which was not looked at")
        if self._seen.text is None:
            return unknown(name, "no file is called so, and the card cannot be seen")
        return missing(name, "no file is called so, and the card links to none")

    def _results(self) -> Judged:
        name = "evaluation-results"
        if found := self._called(name):
            return found
        if _has_results(self._seen.fields.get("model-index")):
            return self._there(name, "figures that the card claims", [layout.CARD])
        if RESULTS.search(self._text):
            return unknown(name, "claimed: the card has a section on it, whose figures were not read")
        if self._seen.text is None:
            return unknown(name, "no file is called so, and the card cannot be seen")
        return missing(name, "no file is called so, and the card claims no figures")

    def _data_card(self) -> Judged:
        name = "data-card"
        if found := self._called(name):
            return found
        found = self._of_datasets(
            name, "card", lambda one: [layout.CARD] if (one.text or "").strip() else [], "the card names no data set"
        )
        if found.state == "missing" and found.licence:  # the data set's licence need not be that of its card
            return unknown(name, f"{found.why}; which licence the card has, it does not say", files=found.files)
        return found

    def _datasets(self) -> Judged:
        def paths(one: SeenRepository) -> list[str]:
            return [path for path in one.files if is_data(path)]

        return self._of_datasets("datasets", "files", paths, "the card names no data set")

    def _evaluation_data(self) -> Judged:
        def paths(one: SeenRepository) -> list[str]:
            return [path for path in one.files if is_called("evaluation-data", path)]

        name = "evaluation-data"
        found = self._of_datasets(name, "files to test on", paths, "nothing is called so, and no data set is named")
        if not found.counts and _has_results(self._seen.fields.get("model-index")):
            return unknown(name, "claimed: the card's figures name what they were measured on")
        return found

    def _of_datasets(self, name: str, what: str, paths: Any, otherwise: str) -> Judged:
        """A component that is files of each data set which the card names."""
        if not self._seen.datasets:
            if self._seen.text is None:
                return unknown(name, "the card cannot be seen")
            return missing(name, otherwise)
        files: list[EvidenceFile] = []
        named: list[str] = []
        for one in self._seen.datasets:
            if isinstance(one, str):
                return unknown(name, f"claimed: {one}")
            found, (licence, how) = _files(one, paths(one)), stated(one)
            if one.closed:
                return missing(name, f"{one.name}: {one.closed}")
            if not found:
                return missing(name, f"{one.name} has no {what}")
            if licence is None:
                told = how or "no licence: neither its card nor a licence file names one"
                return (unknown if how else missing)(name, f"{one.name}: {told}")
            files += found
            named.append(licence)
        told = " AND ".join(f"({one})" if " " in one else one for one in sorted(set(named)))
        words = f"claimed by the card: {', '.join(one.name for one in self._seen.datasets if not isinstance(one, str))}"
        return licensed(name, f"{words[:200]}, under licences that their cards claim", told, files[:MAX_NAMED])

    def _intermediate(self) -> Judged:
        name, steps = "model-parameters-intermediate", self._seen.steps
        if len(steps) < 2:
            return missing(name, "no branches or tags are called after steps")
        return self._under(name, f"{len(steps)} branches or tags are called after steps, each another commit", ())


def _files(seen: SeenRepository, paths: Iterable[str]) -> tuple[EvidenceFile, ...]:
    """Those of `paths` that have bytes, the first MAX_NAMED of them."""
    named = [path for path in sorted(paths) if path in seen.files and len(path) <= MAX_PATH and seen.files[path].size]
    prefix = "" if not seen.name.startswith("datasets/") else f"{seen.name}/"
    return tuple(
        EvidenceFile(path=f"{prefix}{path}"[:MAX_PATH], sha256=seen.files[path].sha256, at="hub")
        for path in named[:MAX_NAMED]
    )


def _listed(files: Collection[EvidenceFile]) -> str:
    names = [file.path for file in files]
    return f"{', '.join(names[:2])}{f' and {len(names) - 2} more' if len(names) > 2 else ''}"[:200]


def _has_results(index: Any) -> bool:
    """Whether the `model-index` of a card has a figure."""
    rows = index if isinstance(index, list) else []
    results = [result for row in rows if isinstance(row, dict) for result in _list(row.get("results"))]
    return any(_list(result.get("metrics")) for result in results if isinstance(result, dict))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
