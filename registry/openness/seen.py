"""What any repository on a Hub shows of its openness: its tree, its card, a few small files, and the data it names.

Everything is bounded, and no weights are read. What the Hub does not give is kept as words, and nobody guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry import canonical
from registry.errors import CredentialsError, GlasshouseError, InputError, Unavailable
from registry.hub import metadata
from registry.hub.client import HubClient
from registry.hub.conventions import parse_step
from registry.hub.reference import DATASETS, HubReference
from registry.hub.transfer import RemoteFile
from registry.records import layout
from registry.records.kinds import CONFIG, MAX_SETTINGS

MAX_DATASETS = 8
"""Data sets of a card that are looked at; one that names more is not judged by some of them."""
MAX_LICENCE = 1 << 20
"""Bytes of the text of a licence."""


@dataclass(frozen=True, slots=True)
class SeenRepository:
    """One repository, at one commit."""

    name: str
    """`owner/name`, or `datasets/owner/name`."""
    files: Mapping[str, RemoteFile]
    """Every file by its path, as the Hub lists it."""
    closed: str | None = None
    """What keeps others from its files, in words; None: nothing."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The metadata of its card; empty where there is none that can be read."""
    text: str | None = None
    """What follows the metadata; None where there is no card, or it cannot be read."""
    licence: tuple[str, str] | None = None
    """(path, text) of a licence file."""
    config: Any = None
    """What config.json says; None where there is none that can be read."""
    steps: tuple[str, ...] = ()
    """Branches and tags named after steps, of which no two stand for one commit."""
    datasets: tuple[SeenRepository | str, ...] = ()
    """The data sets that its card names, or why one cannot be seen."""


def see(hub: HubClient, reference: HubReference) -> SeenRepository:
    """What the repository shows. Raises what HubClient raises where its listing cannot be had."""
    repo = reference.repository
    commit = hub.refs.resolve(repo, reference.revision)
    found = _repository(hub, repo, commit)
    tips = {**hub.refs.tags(repo), **hub.refs.branches(repo)}
    steps = {tips[name]: name for name in sorted(tips) if parse_step(name)}
    named = found.fields.get("datasets")
    names = named if isinstance(named, list) else [] if named is None else [named]
    return SeenRepository(
        found.name, found.files, found.closed, found.fields, found.text, found.licence, found.config,
        tuple(sorted(steps.values())), tuple(_dataset(hub, name, len(names)) for name in names[:MAX_DATASETS]),
    )  # fmt: skip


def _repository(hub: HubClient, repo: str, commit: str) -> SeenRepository:
    files = {file.path: file for file in hub.files.list(repo, commit)}
    read = _Reader(hub, repo, commit, files)
    fields, text = _card(read)
    licence = next((name for name in layout.LICENCE_FILES if name in files), None)
    words = read.small(licence, MAX_LICENCE) if licence else None
    return SeenRepository(
        repo,
        files,
        hub.repos.kept_from_others(repo),
        fields,
        text,
        (licence, words.decode("utf-8", "replace")) if licence and words is not None else None,
        _config(read),
    )


def _dataset(hub: HubClient, name: Any, count: int) -> SeenRepository | str:
    """The data set that a card calls `name`, one of `count`; or why it cannot be seen."""
    if count > MAX_DATASETS:
        return f"the card names {count} data sets, more than the {MAX_DATASETS} that are looked at"
    try:
        repo = HubReference(f"{DATASETS}{name}").repository
        return _repository(hub, repo, hub.refs.head(repo))
    except GlasshouseError as problem:
        return f"the data set {str(name)[:100]} cannot be seen: {problem.message[:200]}"


@dataclass(frozen=True, slots=True)
class _Reader:
    hub: HubClient
    repo: str
    commit: str
    files: Mapping[str, RemoteFile]

    def small(self, path: str, most: int) -> bytes | None:
        """A small file; None where it is not there, is larger, or may not be read."""
        if path not in self.files or self.files[path].size > most:
            return None
        try:
            return self.hub.files.read(self.repo, self.commit, path, max_bytes=most)
        except (CredentialsError, InputError):
            return None  # a gate, or another file than was listed
        except Unavailable:
            return None


def _card(read: _Reader) -> tuple[Mapping[str, Any], str | None]:
    data = read.small(layout.CARD, metadata.MAX_CARD)
    if data is None:
        return {}, None
    try:
        fields = metadata.front_matter(data) or {}
    except InputError:
        fields = {}
    return fields, metadata.after_front_matter(data).decode("utf-8", "replace")


def _config(read: _Reader) -> Any:
    data = read.small(CONFIG, MAX_SETTINGS)
    try:
        return None if data is None else canonical.parse(data, name=CONFIG, max_bytes=MAX_SETTINGS)
    except InputError:
        return None
