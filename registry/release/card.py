"""The model card of a release: what the project's README.md says, completed, and what its records say.

A README.md in the model's folder is kept, word for word: what was rendered follows it. Where its metadata and the
`release` section contradict each other, neither is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from registry.errors import InputError
from registry.files import read_bytes, write_atomic
from registry.hub import metadata
from registry.openness.cards import model_card
from registry.openness.cards.model_card import About
from registry.records import layout
from registry.records.base_record import Base
from registry.records.kinds import ADAPTER, ModelFolder
from registry.release.config import ReleaseConfig
from registry.release.kinds import doors

SPDX = "https://spdx.org/licenses"
"""Where the texts of licences are."""
LISTS = ("tags", "datasets")
"""Fields in which what the card has and what is known stand side by side."""


def write(root: Path, config: ReleaseConfig, folder: Path, version: str | None) -> None:
    """Write the card of the release, or draft, in `folder` of the project at `root`; `version` is None for a draft.

    Raises InputError where the project's own README.md says otherwise than the `release` section, or cannot be read.
    """
    about, kept = labelled(config, folder), _kept(root / config.model)
    fields, body = _parted(kept) if kept is not None else ({}, None)
    named = (ModelFolder.at(folder).setting(ADAPTER, "base_model_name_or_path"), *_listed(fields.get("base_model")))
    said = about.base_model if config.base_model or (folder / layout.BASE).is_file() else ()
    bases = dict.fromkeys(str(name) for name in named if name and name not in said)
    places = tuple(base for base in bases if _is_place(root, base))
    about, fields = _without(places, about), _without_bases(places, fields)
    rendered = model_card.text(folder, replace(about, body=body), version)
    metadata_block = _completed(fields, model_card.fields(folder, about), _said(config, about))
    write_atomic(folder / layout.CARD, f"{model_card.front(metadata_block)}{rendered}".encode())


def labelled(config: ReleaseConfig, folder: Path) -> About:
    """What the card of the release in `folder` is told: by the `release` section, else by the model's files."""
    model = ModelFolder.at(folder)
    kind = doors.kind_of(model, config.kind)
    label = doors.label(model, kind)
    recorded = (Base.read(folder / layout.BASE).repo,) if (folder / layout.BASE).is_file() else ()
    bases = config.base_model or recorded or label.base_model
    known = label.base_model_relation if bases == label.base_model else "finetune" if bases == recorded else None
    relation = config.base_model_relation or known
    return replace(
        config.about,
        licence=_licence(config, model.paths),
        kind=kind.title,
        library_name=config.library_name or label.library_name,
        pipeline_tag=config.pipeline_tag or label.pipeline_tag,
        base_model=bases,
        base_model_relation=relation if bases else None,
    )


def _licence(config: ReleaseConfig, paths: Collection[str]) -> dict[str, str]:
    """The fields by which the card names the licence; where they link to a file, it is one of `paths`."""
    fields = config.licence
    link = fields.get("license_link", "")
    if not link or "://" in link or link in paths:
        return fields
    if config.license_link:
        raise InputError(f"license_link is {link}, which is not a file of the release", mend="name its file, or a URL")
    return {**fields, "license_link": next((name for name in layout.LICENCE_FILES if name in paths), SPDX)}


def _is_place(root: Path, name: str) -> bool:
    """Whether what is named as a base is a place on the maintainer's disk, and not a model of the Hub."""
    return name.startswith(("/", ".", "~")) or (root / name).exists()


def _without(places: tuple[str, ...], about: About) -> About:
    """`about`, with those bases alone that strangers can find, and with the places where they cannot look."""
    bases = tuple(base for base in about.base_model if base not in places)
    relation = about.base_model_relation if bases else None
    return replace(about, base_model=bases, base_model_relation=relation, base_places=() if bases else places)


def _without_bases(places: Collection[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a card without what it says of `places`: a Hub would take each for one of its models."""
    bases = [base for base in _listed(fields.get("base_model")) if base not in places]
    tags = [tag for tag in _listed(fields.get("tags")) if not str(tag).startswith("base_model:") or bases]
    kept = {name: value for name, value in fields.items() if bases or not name.startswith("base_model")}
    return dict(fields) if not places else {**kept, **({"tags": tags} if tags else {})}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _kept(model: Path) -> bytes | None:
    path = model / layout.CARD
    return read_bytes(path, metadata.MAX_CARD) if model.is_dir() and path.is_file() else None


def _parted(card: bytes) -> tuple[dict[str, Any], str]:
    """(metadata, text) of a card. Raises Malformed for metadata that is not a map, InputError for other than text."""
    fields = metadata.front_matter(card)
    try:
        text = (card if fields is None else metadata.after_front_matter(card)).decode()
    except UnicodeDecodeError as problem:
        raise InputError(f"the model's {layout.CARD} is not UTF-8 text", mend="write it anew as UTF-8") from problem
    return fields or {}, text


def _said(config: ReleaseConfig, about: About) -> dict[str, Any]:
    """The fields that a person wrote into the `release` section."""
    chosen = {
        "language": list(config.languages),
        "library_name": config.library_name,
        "pipeline_tag": config.pipeline_tag,
        "base_model": list(config.base_model),
        "base_model_relation": config.base_model_relation,
    }
    return {**about.licence, **{name: value for name, value in chosen.items() if value}}


def _completed(own: Mapping[str, Any], known: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a card: its own, with what it lacks of `known`. Raises InputError where it contradicts `said`."""
    for name, value in said.items():
        if name in own and _plain(own[name]) != _plain(value):
            raise InputError(
                f"the model's {layout.CARD} says {name}: {own[name]}, the `release` section {name}: {value}",
                mend=f"make one of them say as the other, or leave {name} out of {layout.CARD}",
            )
    joined = {name: _joined(own.get(name), known.get(name)) for name in LISTS if name in own or name in known}
    return {**known, **own, **joined}


def _plain(value: Any) -> Any:
    """A value as it compares: one name counts as a list of it; letters' case does not count."""
    return sorted(str(item).lower() for item in _listed(value))


def _joined(*lists: Any) -> list[Any]:
    every = [item for found in lists for item in _listed(found)]
    return list(dict.fromkeys(map(str, every)))
