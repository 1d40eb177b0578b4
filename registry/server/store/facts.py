"""What a repository says of itself at one commit: its card, its settings, its tags, how many numbers its weights hold.

Everything here was written by anybody. What cannot be read is left out.
Source: huggingface.co/docs/hub/model-cards, for which fields of a card become which tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import canonical, suffixes
from registry.errors import GlasshouseError
from registry.hub.metadata import front_matter
from registry.records import kinds, layout
from registry.records.kinds import ADAPTER, CONFIG, MODULES, PIPELINE, ModelFolder
from registry.records.openness_record import CLASSES
from registry.release.kinds import doors
from registry.release.kinds.label import KindLabel
from registry.server.store import git, history, objects, parameters
from registry.server.store.blobs import BlobStore
from registry.server.store.repository import Repository

MAX_FRONT = 64 << 10
"""Bytes of a card in which its facts are looked for."""
MAX_TAGS = 500
MAX_WORD = 200
"""Characters of a tag."""
SETTINGS = (CONFIG, ADAPTER, MODULES, PIPELINE)
TOLD_BY_SETTINGS = ("peft", "sentence-transformers", "diffusers", "language-model", "transformers")
"""The kinds of model that files of settings tell."""
FORMATS = {suffixes.SAFETENSORS: "safetensors", suffixes.GGUF: "gguf", ".onnx": "onnx"}
"""How names end, and the tag that says so."""
PREFIXED = {
    "models": {"license": "license:", "datasets": "dataset:", "base_model": "base_model:", "language": ""},
    "datasets": {field: f"{field}:" for field in (
        "license", "language", "task_categories", "task_ids", "size_categories", "multilinguality",
        "language_creators", "annotations_creators", "source_datasets",
    )},
}  # fmt: skip
"""By kind: the fields of a card that become tags, and what each tag begins with."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said at one commit. parameters: {type of number: how many}.  names: of what stands at the root."""

    commit: str
    changed: str
    """When it was made: RFC 3339."""
    card: Mapping[str, Any]
    config: Mapping[str, Any]
    task: str | None
    library: str | None
    license: str | None
    openness: str | None
    """The class that it says it has, by the Model Openness Framework."""
    title: str | None
    tags: tuple[str, ...]
    parameters: Mapping[str, int]


@dataclass(frozen=True)
class _Committed(ModelFolder):
    """A folder of a model that stands in git."""

    texts: Mapping[str, bytes]
    """{path: bytes} of its files of settings."""

    def settings(self, path: str) -> Any:
        """See ModelFolder; None for what is malformed, too."""
        try:
            return canonical.parse(self.texts[path], name=path) if path in self.texts else None
        except GlasshouseError:
            return None


def facts_of(repo: Repository, blobs: BlobStore, commit: str = "refs/heads/main") -> Facts:
    """What is said at `commit`, a commit or a full ref. Raises GitFailed where there is no such commit."""
    paths = (layout.CARD, layout.OPENNESS, *SETTINGS)
    asked = [commit, f"{commit}^{{tree}}", *(f"{commit}:{path}" for path in paths)]
    head, tree, card, openness, *settings = objects.contents(repo.folder, asked)
    if head is None or tree is None:
        raise git.GitFailed("cat-file", f"{commit} is not there", repo.folder)
    names = tuple(objects.names_in(tree))
    front = front_of(card or b"")
    texts = {path: data for path, data in zip(SETTINGS, settings, strict=True) if data is not None}
    model = _Committed(Path(), tuple(texts), texts)
    label = _label(model) if repo.name.kind == "models" else KindLabel()
    task = text(front.get("pipeline_tag")) or label.pipeline_tag
    library = text(front.get("library_name")) or label.library_name
    config = model.settings(CONFIG)
    oid = objects.object_name("commit", head)
    return Facts(
        commit=oid,
        changed=history.date_of(head),
        card=front,
        config=config if isinstance(config, dict) else {},
        task=task,
        library=library,
        license=next(_texts(front.get("license")), None),
        openness=_class(openness),
        title=text(front.get("pretty_name")),
        tags=tuple(dict.fromkeys((*_tags(repo.name.kind, front, names), *filter(None, (task, library)))))[:MAX_TAGS],
        parameters=parameters.counted(repo.folder, oid, blobs) if _has_weights(names) else {},
    )


def front_of(card: bytes) -> dict[str, Any]:
    """The YAML before a card; nothing where there is none that can be read, and that JSON can carry."""
    try:
        found = front_matter(card[:MAX_FRONT].lstrip()) or {}
        canonical.dumps(found)
    except GlasshouseError:
        return {}
    return found


def text(value: Any) -> str | None:
    """A short text of a card; None for anything else."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_WORD and value.isprintable() else None


def _class(record: bytes | None) -> str | None:
    """The class that provenance/openness.json says; None where there is none."""
    try:
        told = canonical.parse(record, name=layout.OPENNESS) if record is not None else None
    except GlasshouseError:
        return None
    found = told.get("class") if isinstance(told, dict) else None
    return next((each for each in CLASSES if each == found), None)


def _label(model: ModelFolder) -> KindLabel:
    """What the files of settings say of how it is loaded."""
    for name in TOLD_BY_SETTINGS:
        if kinds.named(name).fits(model):
            return doors.DOORS[name][1](model)
    return KindLabel()


def _tags(kind: str, card: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    yield from _texts(card.get("tags"))
    for field, prefix in PREFIXED[kind].items():
        yield from (f"{prefix}{each}" for each in _texts(card.get(field)))
    if (relation := text(card.get("base_model_relation"))) and kind == "models":
        yield from (f"base_model:{relation}:{each}" for each in _texts(card.get("base_model")))
    for ending, tag in FORMATS.items():
        if any(name.lower().endswith(ending) for name in names):
            yield tag


def _texts(value: Any) -> Iterator[str]:
    """The texts of a field that holds one, or a list of them."""
    for each in value if isinstance(value, list) else [value]:
        if (found := text(each)) is not None:
            yield found


def _has_weights(names: Iterable[str]) -> bool:
    return any(name in (parameters.WEIGHTS, parameters.SHARDED) for name in names)
