"""A published release, carried to another Hub: its files, its tag, what belongs to it, and what was said of it.

Law: what stands at the target has the signed digests, or it is not tagged. Git's ids are not kept, for a Hub makes its
own commits; a release is bound to its tag and its bytes, so it verifies there as it does here. What was said of it goes
before its tag: nobody meets a yanked release without the yank. Each step looks first at what is there, so a copy that
was interrupted goes on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.digest import Progress
from registry.errors import InputError, Refused
from registry.hub import step_branches
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.records import layout
from registry.records.checkpoint_chain import Chain, Checkpoint
from registry.records.release_record import ReleaseRecord
from registry.records.training_folder import step_name
from registry.release import checkpoints, companions, publishing
from registry.verification.evidence import BRANCHES, branch_words
from registry.versions import numbers, order


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What is to be carried, and what the target has already."""

    reference: HubReference
    """The release."""
    source: str
    """The Hub that has it."""
    target: str
    """The Hub that gets it."""
    tagged: bool
    """Whether the target has its tag."""
    words: Mapping[str, tuple[str, ...]]
    """{branch: the bundles that the target lacks}."""
    steps: tuple[int, ...]
    """The checkpoints that the target lacks."""
    size: int
    """Bytes of the release."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be carried."""
        return self.tagged and not self.steps and not any(self.words.values())

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "release": str(self.reference), "from": self.source, "to": self.target, "tagged": self.tagged,
            "words": {branch: list(paths) for branch, paths in self.words.items()}, "checkpoints": list(self.steps),
            "bytes": self.size,
        }  # fmt: skip

    def __str__(self) -> str:
        if self.is_done:
            return f"{self.reference}: nothing to carry, all of it is at {self.target} already"
        words = sum(map(len, self.words.values()))
        release = "its files and its tag are there" if self.tagged else f"its files, {self.size} bytes"
        return f"{self.reference} to {self.target}: {release}; {len(self.steps)} checkpoints; {words} bundles about it"


def plan(reference: HubReference, folder: Path, source: HubClient, target: HubClient) -> CopyPlan:
    """What has to be carried of the verified release in `folder`. Changes nothing.

    Raises Refused where the target has other files or other words under the same name, or a later version, before which
    nothing is put; InputError for a reference that does not name a tag.
    """
    record = ReleaseRecord.read(folder / layout.RECORD)
    if (record.repo, record.tag) != (reference.repository, reference.revision):
        raise InputError(f"{reference} holds the release {record.repo}@{record.tag}", mend="name it by that")
    there = target.repos.exists(record.repo)
    tags = target.refs.tags(record.repo)
    if record.tag not in tags and (later := [tag for tag in tags if numbers(tag) and order(tag) > order(record.tag)]):
        raise Refused(
            f"{target.endpoint} has {record.repo}@{max(later, key=order)}, and main would go back to {record.tag}",
            mend="carry the oldest release first",
        )
    return CopyPlan(
        reference, source.endpoint, target.endpoint, record.tag in tags,
        {branch: tuple(_missing(record, branch, source, target, there=there)) for branch in BRANCHES},
        tuple(entry.step for entry in _entries(folder) if _is_published(source, record.repo, entry)
              and not (there and _stands(target, record.repo, entry))),
        publishing.size(folder),
    )  # fmt: skip


def carry(
    wanted: CopyPlan, folder: Path, source: HubClient, target: HubClient, progress: Progress | None = None
) -> HubReference:
    """Do what was planned, the release's own tag last. progress: is told the bytes that are sent.

    Raises as `publishing.look` and `send` do.
    """
    record = ReleaseRecord.read(folder / layout.RECORD)
    for companion in record.companions:
        place = companions.place(folder, companion.repo)
        if not place.exists():
            source.trees.download(companion.repo, source.refs.resolve(companion.repo, record.tag), place)
    ready = publishing.look(folder, target)
    with target.account.rights_to(record.repo):
        target.repos.ensure(record.repo)
        for branch, paths in wanted.words.items():
            if paths:
                _say(record, branch, paths, source, target)
        for entry in _entries(folder):
            if entry.step in wanted.steps:
                _carry_step(record.repo, entry, source, target, progress)
    return publishing.send(ready, target, progress)


def _entries(folder: Path) -> tuple[Checkpoint, ...]:
    """The checkpoints that the release names; none, where it has no chain of them."""
    path = folder / layout.CHECKPOINTS
    return Chain.read(path).entries if path.exists() else ()


def _is_published(source: HubClient, repo: str, entry: Checkpoint) -> bool:
    return step_name(entry.step) in source.refs.branches(repo)


def _stands(hub: HubClient, repo: str, entry: Checkpoint) -> bool:
    head = hub.refs.branches(repo).get(step_name(entry.step))
    return head is not None and step_branches.holds(hub, repo, head, entry)


def _carry_step(repo: str, entry: Checkpoint, source: HubClient, target: HubClient, progress: Progress | None) -> None:
    """One checkpoint, by its digests in the signed chain."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-") as scratch:
        folder = Path(scratch) / step_name(entry.step)
        source.trees.download(repo, step_branches.locate(source, repo, entry), folder)
        (folder / layout.GIT_ATTRIBUTES).unlink(missing_ok=True)
        local = checkpoints.laid_out(entry, folder)
        checkpoints.publish(target, repo, checkpoints.CheckpointPlan((local,), ()), progress)


def _missing(record: ReleaseRecord, branch: str, source: HubClient, target: HubClient, *, there: bool) -> list[str]:
    """The bundles about the release that the target's branch lacks. Raises Refused where it has others."""
    wanted = {item.name.partition(":")[2]: item.data for item in branch_words(source, record.repo, branch, record.tag)}
    found = {}
    if there:
        words = branch_words(target, record.repo, branch, record.tag)
        found = {item.name.partition(":")[2]: item.data for item in words}
    if differing := sorted(path for path in wanted.keys() & found.keys() if wanted[path] != found[path]):
        raise Refused(
            f"{target.endpoint} has another {differing[0]} on the branch {branch} of {record.repo}",
            mend="look at both: what was said there is not replaced",
        )
    return sorted(wanted.keys() - found.keys())


def _say(record: ReleaseRecord, branch: str, paths: tuple[str, ...], source: HubClient, target: HubClient) -> None:
    """Put bundles about the release on the target's branch, as they are on the source's, in one commit."""
    words = {item.name.partition(":")[2]: item.data for item in branch_words(source, record.repo, branch, record.tag)}
    parent = target.refs.ensure_branch(record.repo, branch)
    target.commits.add(record.repo, {path: words[path] for path in paths}, f"{branch} of {record.tag}", parent, branch)
