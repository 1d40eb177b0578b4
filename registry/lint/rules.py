"""What has gone wrong in famous releases, looked for in any repository: by what `Published` holds, no weights.

A rule is a pure function from what was read to what is wrong. Its number never changes its meaning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry import canonical
from registry.errors import Malformed
from registry.hub.conventions import is_optimizer, is_weights
from registry.hub.metadata import front_matter
from registry.lint.series import SETTINGS, Published, Revision, begins_late, missing_steps
from registry.openness import licences
from registry.records.kinds import TOKENIZERS
from registry.suffixes import PICKLED, SAFETENSORS, SAFETENSORS_INDEX

AROUND_TOKENIZERS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
TEMPLATES = ("chat_template.jinja", "chat_template.json")
VOLATILE = frozenset(("transformers_version", "_name_or_path", "_commit_hash"))
"""Settings that tell who wrote the file, and not what the model is."""
PACKED = (".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4", ".zst")
"""What joblib and people put behind the suffix of a pickle."""
DATA_RECORDS = ("provenance/data-manifest.json", "provenance/croissant.json", "croissant.json")
_NUMBERED = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<end>\.[A-Za-z.]+)")


class Level(StrEnum):
    """How much it matters; the words are SARIF's."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault."""

    rule: str
    """The rule's number."""
    level: Level
    """How much it matters."""
    where: tuple[str, ...]
    """The branches or tags that have it."""
    path: str
    """The file; "" for the tree."""
    message: str
    """What was found."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "rule": self.rule,
            "level": str(self.level),
            "where": list(self.where),
            "path": self.path,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault that is looked for."""

    number: str
    """Its number, which never changes its meaning."""
    title: str
    """What it looks for, in a line."""
    look: Callable[[Published], Iterable[Finding]]
    """Gives the findings."""


def lint(published: Published) -> tuple[Finding, ...]:
    """All faults, in the order of the rules. Pure."""
    return tuple(finding for rule in RULES for finding in rule.look(published))


def same_weights(published: Published) -> Iterator[Finding]:
    """Steps that serve one and the same weights (pythia 195, 205, 206; OLMo 915); of step 0 (pythia 83)."""
    for steps in published.series.values():
        groups: dict[frozenset[tuple[str, str]], list[Revision]] = {}
        for step in steps:
            if step.weights:
                groups.setdefault(frozenset(step.weights.items()), []).append(step)
        for group in groups.values():
            if len({step.step for step in group}) < 2:
                continue
            first = group[0].step == 0
            words = "step 0 is a trained step: it serves the weights of" if first else "identical weights at"
            others = group[1:] if first else group
            yield _finding(
                "GH102" if first else "GH101", Level.ERROR, group, f"{words} {_names(s.name for s in others)}"
            )


def gaps(published: Published) -> Iterator[Finding]:
    """Steps that the spacing promises and that are not there (pythia 202; OLMo 726, 842, 879)."""
    for name, steps in published.series.items():
        numbers = sorted({step.step for step in steps})
        if late := begins_late(numbers):
            told = f"the series {name}" if name else "the series"
            message = f"{told} begins at {numbers[0]}: {late} steps before it are not there"
            yield _finding("GH103", Level.WARNING, steps[:1], message)
        if missing := missing_steps(numbers):
            told = f"the series {name} lacks" if name else "the series lacks"
            around = (steps[0].name, steps[-1].name)
            message = f"{told} {len(missing)} of its steps: {_names(map(str, missing))}"
            yield Finding("GH103", Level.ERROR, around, "", message)


def main_is_last(published: Published) -> Iterator[Finding]:
    """Main serves an earlier step, or weights that have the shape of the last step's and are those of no step."""
    if not published.steps or not published.main.weights:
        return
    equal = [step for step in published.steps if step.weights == published.main.weights]
    lasts = [steps[-1] for steps in published.series.values()]
    ends = {(last.series, last.step) for last in lasts}
    if equal:
        if not any((step.series, step.step) in ends for step in equal):
            yield _finding("GH104", Level.ERROR, [published.main], f"main serves the weights of {equal[-1].name}")
        return
    if len(lasts) == 1 and _sizes(lasts[0]) == _sizes(published.main):
        message = f"main is not the last step: its weights differ from {lasts[0].name}, and from every other step"
        yield _finding("GH104", Level.WARNING, [published.main], message)


def foreign_shards(published: Published) -> Iterator[Finding]:
    """A shard of one step among the shards of another."""
    for steps in published.series.values():
        seen: dict[tuple[str, str], Revision] = {}
        for step in steps:
            if len(step.weights) < 2:
                continue
            for path, digest in step.weights.items():
                before = seen.setdefault((path, digest), step)
                if before.step != step.step and before.weights != step.weights:
                    message = f"{before.name} and {step.name} serve the same bytes, and differ in other shards"
                    yield _finding("GH105", Level.ERROR, [before, step], message, path)


def optimizers(published: Published) -> Iterator[Finding]:
    """Steps without the optimizer state that the others have."""
    having = [step for step in published.steps if any(map(is_optimizer, step.files))]
    lacking = [step for step in published.steps if step not in having]
    if having and lacking:
        yield _finding("GH106", Level.ERROR, lacking, f"no optimizer state at {_names(s.name for s in lacking)}")
    elif lacking:
        yield _finding("GH106", Level.NOTE, lacking, "no step has optimizer state: the training cannot be replayed")


def missing_shards(published: Published) -> Iterator[Finding]:
    """Shards that an index, or the numbers in their names, promise and that are not there."""
    for revision in (published.main, *published.steps):
        wanted: dict[str, str] = {}
        for path in revision.files:
            if path.endswith(SAFETENSORS_INDEX):
                wanted |= dict.fromkeys(published.indexes.get(revision.digest(path), frozenset()), path)
            if (found := _NUMBERED.fullmatch(path)) and int(found["count"]) <= 10_000:
                count = int(found["count"])
                names = [f"{found['stem']}-{n:05d}-of-{found['count']}{found['end']}" for n in range(1, count + 1)]
                wanted |= dict.fromkeys(names, path)
        if missing := sorted(wanted.keys() - revision.files.keys()):
            message = f"{revision.name} lacks {_names(missing)}"
            yield _finding("GH107", Level.ERROR, [revision], message, wanted[missing[0]])


def tokenizers(published: Published) -> Iterator[Finding]:
    """A tokenizer that changes between steps."""
    yield from _differing(published, (*TOKENIZERS, *AROUND_TOKENIZERS), "GH108")


def _differing(published: Published, names: Iterable[str], rule: str) -> Iterator[Finding]:
    """Files whose bytes are other ones at a few steps, or in main."""
    for name in names:
        having = [revision for revision in (published.main, *published.steps) if name in revision.files]
        counts = Counter(revision.digest(name) for revision in having)
        if len(counts) > 1:
            usual = counts.most_common(1)[0][0]
            other = [revision for revision in having if revision.digest(name) != usual]
            message = (
                f"{name} at {_names(r.name for r in other)} differs from that at {len(having) - len(other)} others"
            )
            yield _finding(rule, Level.ERROR, other, message, name)


def settings(published: Published) -> Iterator[Finding]:
    """A configuration or a chat template that is another at a few steps (open-instruct 1291, transformers 33957)."""
    yield from _differing(published, TEMPLATES, "GH116")
    for name in SETTINGS:
        having = [(revision, revision.digest(name)) for revision in published.steps if name in revision.files]
        said = [(revision, {key: value for key, value in told.items() if key not in VOLATILE})
                for revision, digest in having if isinstance(told := published.settings.get(digest), dict)]  # fmt: skip
        counts = Counter(canonical.dumps(told) for _, told in said)
        if len(counts) > 1:
            usual = next(told for _, told in said if canonical.dumps(told) == counts.most_common(1)[0][0])
            other = [(revision, told) for revision, told in said if told != usual]
            keys = {key for _, told in other for key in told.keys() | usual.keys() if told.get(key) != usual.get(key)}
            where = [revision for revision, _ in other]
            message = (
                f"{name} at {_names(r.name for r in where)} differs from that at {len(said) - len(other)} others: "
                f"{_names(sorted(keys))}"
            )
            yield _finding("GH116", Level.ERROR, where, message, name)


def without_weights(published: Published) -> Iterator[Finding]:
    """Steps that serve no weights at all (pythia 107, 202)."""
    for steps in published.series.values():
        lacking = [step for step in steps if not step.weights]
        if lacking and (len(lacking) < len(steps) or published.main.weights):
            yield _finding("GH115", Level.ERROR, lacking, f"no weights at {_names(step.name for step in lacking)}")


def pointers(published: Published) -> Iterator[Finding]:
    """Pointers of Git LFS that were uploaded in place of the files (transformers 27923)."""
    for digest in sorted(published.pointers):
        revisions, path = _places(published, digest)
        message = f"{path} at {_names(r.name for r in revisions)} is a pointer of Git LFS, and not the file itself"
        yield _finding("GH117", Level.ERROR, revisions, message, path)


def descents(published: Published) -> Iterator[Finding]:
    """Step 1 is not what one step makes of step 0 (pythia 203)."""
    by_name = {step.name: step for step in published.steps}
    for (first, second), correlation in published.unlike.items():
        message = f"{second} does not come from {first}: their weights correlate by {correlation:.2f}"
        yield _finding("GH118", Level.ERROR, [by_name[first], by_name[second]], message)


def doubtful(published: Published) -> Iterator[Finding]:
    """Weights that were looked into, and are not known to be harmless."""
    for digest, words in published.doubtful.items():
        revisions, path = _places(published, digest)
        yield _finding("GH119", Level.WARNING, revisions, f"{path} {words}", path)


def pickles(published: Published) -> Iterator[Finding]:
    """Files that run code when they are loaded; an error where there are no safetensors beside them."""
    found: dict[tuple[tuple[str, ...], Level], list[Revision]] = {}
    for revision in (published.main, *published.steps):
        paths = tuple(path for path in sorted(revision.files) if _is_pickle(path.lower()))
        safe = any(path.endswith(SAFETENSORS) for path in revision.files)
        if paths:
            only = any(map(is_weights, paths)) and not safe
            found.setdefault((paths, Level.ERROR if only else Level.WARNING), []).append(revision)
    for (paths, level), revisions in found.items():
        message = f"pickles at {_names(r.name for r in revisions)}: {_names(paths)}"
        yield _finding("GH109", level, revisions, message, paths[0])


def _is_pickle(path: str) -> bool:
    """Whether a file is a pickle by its name, packed or not."""
    packed = next((ending for ending in PACKED if path.endswith(ending)), "")
    return path.removesuffix(packed).endswith(tuple(PICKLED))


def card(published: Published) -> Iterator[Finding]:
    """A card without licence or without data, and a licence that is another in the card than in its file."""
    text = published.texts.get("README.md")
    metadata = _metadata(text or "")
    if text is None or metadata is None:
        what = "no README.md" if text is None else "its metadata is not a map of plain YAML"
        yield _finding("GH110", Level.ERROR, [published.main], f"the card cannot be read: {what}", "README.md")
        return
    licence = metadata.get("license")
    if not licence:
        yield _finding("GH110", Level.ERROR, [published.main], "the card names no licence", "README.md")
    if not metadata.get("datasets") and not any(path in published.main.files for path in DATA_RECORDS):
        yield _finding("GH111", Level.WARNING, [published.main], "the card names no data", "README.md")
    for path, words in published.texts.items():
        of_file = licences.contradicts(words, str(licence)) if path != "README.md" else None
        if of_file:
            message = f"the card says {licence}, and {path} is the text of {of_file}"
            yield _finding("GH112", Level.ERROR, [published.main], message, path)


def headers(published: Published) -> Iterator[Finding]:
    """Safetensors with several metadata keys (their order is random, so the file's hash is), and broken ones."""
    for digest, keys in published.metadata.items():
        if len(keys) > 1:
            revisions, path = _places(published, digest)
            message = f"{len(keys)} metadata keys ({_names(keys)}): saved again, the file has another hash"
            yield _finding("GH113", Level.WARNING, revisions, message, path)
    for digest, why in published.unreadable.items():
        revisions, path = _places(published, digest)
        yield _finding("GH114", Level.ERROR, revisions, f"not a whole safetensors file: {why}", path)


RULES = (
    Rule("GH101", "Step branches serve identical weights", same_weights),
    Rule("GH103", "The series of checkpoints has gaps", gaps),
    Rule("GH104", "main is not the last step", main_is_last),
    Rule("GH105", "A shard belongs to another step", foreign_shards),
    Rule("GH106", "Optimizer state is missing", optimizers),
    Rule("GH107", "Shards are missing", missing_shards),
    Rule("GH108", "The tokenizer changes between steps", tokenizers),
    Rule("GH109", "Pickles are served", pickles),
    Rule("GH110", "The card is without licence or data, or contradicts the licence's text", card),
    Rule("GH113", "Safetensors with several metadata keys, or unreadable", headers),
    Rule("GH115", "A step has no weights", without_weights),
    Rule("GH116", "A configuration or chat template changes between steps", settings),
    Rule("GH117", "A pointer of Git LFS stands in place of a file", pointers),
    Rule("GH118", "Step 1 does not come from step 0", descents),
    Rule("GH119", "Weights that are not known to be harmless", doubtful),
)
TITLES: Mapping[str, str] = {rule.number: rule.title for rule in RULES} | {
    "GH102": "Step 0 serves the weights of a later step",
    "GH111": "The card names no data",
    "GH112": "The card's licence is not that of the licence file",
    "GH114": "A safetensors file that is not one, or not whole",
}


def _finding(rule: str, level: Level, where: Iterable[Revision], message: str, path: str = "") -> Finding:
    return Finding(rule, level, tuple(revision.name for revision in where), path, message)


def _names(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _sizes(revision: Revision) -> dict[str, int]:
    return {path: revision.files[path].size for path in revision.weights}


def _places(published: Published, digest: str) -> tuple[list[Revision], str]:
    """Where a file of that digest stands, main first; and its path in the first of them."""
    found = [
        (revision, path)
        for revision in (published.main, *published.steps)
        for path in revision.files
        if revision.digest(path) == digest
    ]
    return list({revision.name: revision for revision, _ in found}.values()), found[0][1]


def _metadata(text: str) -> dict[str, Any] | None:
    """The metadata block of a card: {} where there is none, None where it is not a map of plain YAML."""
    try:
        return front_matter(text.encode()) or {}
    except Malformed:
        return None
