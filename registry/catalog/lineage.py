"""What a release came from, as a graph: sources, files, stages, what they wrote, the release, and what belongs to it.

It is read from the records that the release statement binds: the runs of the stages, the data manifest, the companions.
Law: an edge stands only where a record names both ends by digest, so a graph is as sure as the release's signature.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from registry.catalog.entry import ReleaseEntry
from registry.errors import GlasshouseError
from registry.records import layout
from registry.records.base_record import Base
from registry.records.data_manifest import Summary
from registry.records.listing import Listings
from registry.records.run import StageRun, Stages

Kind = Literal["release", "weights", "stage", "file", "data", "source", "commit", "companion", "base"]
MAX_NODES = 5_000
"""A graph with more is cut off, and says so."""
MAX_LINES = 2_000_000
"""Lines of listings that are read for it: some three seconds."""


@dataclass(frozen=True, slots=True)
class Node:
    """A thing that a release is made of, or came from."""

    id: str
    """What tells it from the others: its kind and its name."""
    kind: Kind
    """What it is."""
    label: str
    """Its name, for a reader."""
    digest: str | None = None
    """SHA-256 of it, or the id of a commit; None where it has neither."""
    note: str | None = None
    """More: how a stage ran, how many documents a source gave."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else its record says: a stage's command and settings."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        known = {"digest": self.digest, "note": self.note, "facts": dict(self.facts) or None}
        return {"id": self.id, "kind": self.kind, "label": self.label} | {k: v for k, v in known.items() if v}


@dataclass(frozen=True)
class Graph:
    """What came from what."""

    root: str
    """The id of the release."""
    nodes: Mapping[str, Node]
    """Every node by its id."""
    edges: tuple[tuple[str, str], ...]
    """(what, from what), each once."""
    gaps: tuple[str, ...] = ()
    """What could not be read, so that nobody takes the graph for the whole."""

    @cached_property
    def origins(self) -> Mapping[str, tuple[str, ...]]:
        """What each node came from, by its id."""
        found: dict[str, list[str]] = defaultdict(list)
        for what, origin in self.edges:
            found[what].append(origin)
        return {what: tuple(origins) for what, origins in found.items()}

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "root": self.root,
            "nodes": [node.as_json() for node in self.nodes.values()],
            "edges": [{"what": what, "from": origin} for what, origin in self.edges],
            "gaps": list(self.gaps),
        }


def outline(graph: Graph) -> Graph:
    """The same without files between stages, and without edges that others already imply: for a picture."""
    files = {name for name, node in graph.nodes.items() if node.kind == "file"}
    kept = [name for name in graph.nodes if name not in files]
    direct: dict[tuple[str, str], None] = {}
    for name in kept:
        waiting, met = list(graph.origins.get(name, ())), {name}
        while waiting:
            origin = waiting.pop()
            if origin in met:
                continue
            met.add(origin)
            if origin in files:
                waiting += graph.origins.get(origin, ())
            else:
                direct[name, origin] = None
    before = ancestors(direct, kept)
    origins = {name: {origin for what, origin in direct if what == name} for name in kept}
    edges = tuple(
        (what, origin)
        for what, origin in direct
        if not any(origin in before[other] for other in origins[what] - {origin})
    )
    return Graph(graph.root, {name: graph.nodes[name] for name in kept}, edges, graph.gaps)


class _Drawn:
    """A graph that is being put together."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], None] = {}
        self.gaps: list[str] = []

    def add(self, kind: Kind, label: str, digest: str | None = None, note: str | None = None, **facts: Any) -> str:
        """Enter a node, unless it stands there or there are too many; its id."""
        name = f"{kind}:{label}"
        if name not in self.nodes and len(self.nodes) < MAX_NODES:
            self.nodes[name] = Node(name, kind, label, digest, note, facts)
        return name

    def link(self, what: str, origin: str) -> None:
        """Say that `what` came from `origin`, where both are in the graph."""
        if what in self.nodes and origin in self.nodes and what != origin:
            self.edges[what, origin] = None


def graph(entry: ReleaseEntry) -> Graph:
    """The lineage of the release. What cannot be read is among its gaps; nothing is raised for it."""
    drawn = _Drawn()
    source = entry.release.source
    note = f"signed by {entry.signature.words}" if entry.signature.verified else entry.signature.words
    root = drawn.add("release", entry.name, entry.subject.sha256, note)
    weights = [drawn.add("weights", path, entry.listed[path]) for path in entry.release.weights]
    for each in weights:
        drawn.link(root, each)
    commit = drawn.add("commit", source.commit, None, source.repository or "no address to fetch it from is recorded")
    steps = [_companions, _stages, _data, _base]
    for step in steps:
        try:
            step(entry, drawn, commit)
        except GlasshouseError as problem:
            drawn.gaps.append(problem.message)
    for each in weights:
        if not any(what == each for what, _ in drawn.edges):
            drawn.gaps.append(f"no record says which stage wrote {drawn.nodes[each].label}")
    if not any(origin == commit for _, origin in drawn.edges):
        drawn.link(root, commit)
    if len(drawn.nodes) >= MAX_NODES:
        drawn.gaps.append(f"only {MAX_NODES} things are shown")
    return Graph(root, drawn.nodes, tuple(drawn.edges), tuple(drawn.gaps))


def _companions(entry: ReleaseEntry, drawn: _Drawn, commit: str) -> None:
    for each in entry.record.companions:
        name = drawn.add("companion", f"{each.repo}@{entry.record.tag}", each.content, f"{each.files} files")
        drawn.link(f"release:{entry.name}", name)


def _stages(entry: ReleaseEntry, drawn: _Drawn, commit: str) -> None:
    stages = Stages.from_bytes(entry.read(layout.STAGES), name=layout.STAGES).stages
    makers = {out.path: f"stage:{known.run.stage}" for known in stages for out in known.run.outs}
    wrote: dict[str, set[str]] = defaultdict(set)
    for known in stages:
        run = known.run
        stage = drawn.add("stage", run.stage, run.digest, known.evidence, command=run.command, params=run.params)
        for dep in run.deps:
            if dep.path in known.committed:
                drawn.link(stage, commit)
                continue
            file = drawn.add("file", dep.name, dep.sha256)
            drawn.link(stage, file)
            for made in _covering(dep.path, makers):
                drawn.link(file, makers[made])
        for out in run.outs:
            drawn.link(drawn.add("file", out.name, out.sha256), stage)
            for digest in {out.sha256, *(out.files or {}).values()}:
                wrote[digest].add(stage)
    if any(entry.listed[path] not in wrote for path in entry.release.weights):
        for digest, stage in _listed(entry, stages, drawn):
            wrote[digest].add(stage)
    before = ancestors(drawn.edges, [f"stage:{known.run.stage}" for known in stages])
    others: set[str] = set()
    for path, digest in entry.listed.items():
        makers_of = _first(wrote[digest], before)
        if path not in entry.release.weights:
            others |= makers_of
        for stage in sorted(makers_of if path in entry.release.weights else ()):
            drawn.link(f"weights:{path}", stage)
    for stage in sorted(_last(others, before)):
        drawn.link(f"release:{entry.name}", stage)


def _listed(entry: ReleaseEntry, stages: Iterable[StageRun], drawn: _Drawn) -> Iterator[tuple[str, str]]:
    """(SHA-256, stage) of each file of the release that lies in an output which is too large for the stage's record."""
    listings = Listings(entry.listed, entry.read, frozenset(entry.listed.values()), most=MAX_LINES)
    for known in stages:
        for out in known.run.outs:
            if out.files is not None and not out.listed:
                try:
                    yield from ((digest, f"stage:{known.run.stage}") for digest in listings.digests(out))
                except GlasshouseError as problem:
                    drawn.gaps.append(problem.message)


def _first(stages: set[str], before: Mapping[str, set[str]]) -> set[str]:
    """Those of the stages that come from no other of these: who wrote the same bytes first."""
    return {stage for stage in stages if not before[stage] & stages} or stages


def _last(stages: set[str], before: Mapping[str, set[str]]) -> set[str]:
    """Those of the stages from which no other of these comes."""
    return stages.difference(*(before[stage] - {stage} for stage in stages)) or stages


def ancestors(edges: Iterable[tuple[str, str]], names: Iterable[str]) -> dict[str, set[str]]:
    """Everything that each of `names` came from, by edges of (what, from what)."""
    origins: dict[str, list[str]] = defaultdict(list)
    for what, origin in edges:
        origins[what].append(origin)
    found: dict[str, set[str]] = {}
    for name in names:
        met, waiting = set(), list(origins[name])
        while waiting:
            if (each := waiting.pop()) not in met:
                met.add(each)
                waiting += origins[each]
        found[name] = met
    return found


def _covering(path: str, makers: Mapping[str, str]) -> Iterator[str]:
    """Those outputs that are the file at `path`, or a folder that holds it, or lie in the folder that it is."""
    for out in makers:
        if out == path or path.startswith(f"{out}/") or out.startswith(f"{path}/"):
            yield out


def _data(entry: ReleaseEntry, drawn: _Drawn, commit: str) -> None:
    summary = Summary.from_bytes(entry.read(layout.DATA_SUMMARY), name=layout.DATA_SUMMARY)
    note = f"{summary.rows} documents, Merkle root {summary.root[:16]}…"
    data = drawn.add("data", "data manifest", entry.listed[layout.DATA_SUMMARY], note)
    for each in summary.sources:
        note = f"{each.documents} documents, {each.license or 'licences by document'}"
        drawn.link(data, drawn.add("source", each.id, None, note))
    rows = {entry.listed.get(layout.DATA_SUMMARY), entry.listed.get(layout.data_rows(entry.listed))}
    with suppress(GlasshouseError):
        for known in Stages.from_bytes(entry.read(layout.STAGES), name=layout.STAGES).stages:
            for out in known.run.outs:
                if rows & {out.sha256, *(out.files or {}).values()}:
                    drawn.link(f"stage:{known.run.stage}", data)
    if not any(origin == data for _, origin in drawn.edges):
        drawn.link(f"release:{entry.name}", data)


def _base(entry: ReleaseEntry, drawn: _Drawn, commit: str) -> None:
    """The open model that the training began with, behind the stage that fetched it."""
    if layout.BASE not in entry.listed:
        return
    base = Base.from_bytes(entry.read(layout.BASE), name=layout.BASE)
    note = base.verification.established if base.verification else "not verifiable: nobody named who may sign it"
    node = drawn.add("base", base.uri, base.sha256, note)
    for known in Stages.from_bytes(entry.read(layout.STAGES), name=layout.STAGES).stages:
        if any(out.sha256 == base.sha256 for out in known.run.outs):
            drawn.link(f"stage:{known.run.stage}", node)
    if not any(origin == node for _, origin in drawn.edges):
        drawn.gaps.append(f"no record says which stage fetched {base.uri}")
