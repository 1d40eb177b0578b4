"""Step 2 of a replay, and the first of a rebuild: a folder where the source of one verified release can be run."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from registry.audit import base, hostile, installed
from registry.audit.base import GivenBase
from registry.audit.machine import foreign
from registry.audit.packages import Setup, lent
from registry.audit.sandbox import Access, Allowance, Room, Sandbox
from registry.audit.source import fetch
from registry.audit.subject import Audited
from registry.errors import GlasshouseError, InputError, Unavailable
from registry.records import replay_command
from registry.records.environment import Environment
from registry.records.training_folder import TrainingFolder
from registry.variables import BASE

SOURCE, TAKEN = "source", "taken"
"""Folders of the scratch folder: where the source is run, and where what it made is moved before it is looked at."""
SMALL = 64 << 20
"""Bytes of a file of figures."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an auditor decides."""

    source: str | None = None
    """Where to fetch the source, instead of where the release says."""
    setup: Setup = field(default_factory=lambda: Setup("fresh"))
    """Which packages it runs with."""
    bubblewrap: bool = False
    """Whether children are walled in."""
    keep: Path | None = None
    """A new folder to work in, which stays; None: one that goes away."""
    allowance: Allowance = field(default_factory=Allowance)
    """What each command of the source may use up."""
    data: str | None = None
    """A remote of DVC's, or a cache, that has the data of .dvc files; None: as the source says."""
    accelerator: bool = False
    """Whether the source sees graphics cards; it does where its training was recorded on one."""
    base: Path | None = None
    """The folder with the files of the release's base; None: they are fetched from its Hub."""
    endpoint: str | None = None
    """The Hub; None is HF_ENDPOINT, or the public one."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """The source of a release at its signed commit, and what it runs with."""

    audited: Audited
    """The release."""
    tree: Path
    """Where its project lies."""
    sandbox: Sandbox
    """Where it runs, and with which programs."""
    setup: Setup
    """How its environment was made."""
    here: Environment | None
    """This machine and its software under the release's numeric profile; None where it cannot hold the profile."""
    cannot: tuple[str, ...]
    """Why bits that differ here would accuse nobody; empty where the profile promises the same."""
    profiled: bool = True
    """Whether the source says in which numeric profile it was built, and can hold it."""
    base: GivenBase | None = None
    """The model that its training began with; None where it began with none."""

    @property
    def scratch(self) -> Path:
        """Where everything is written."""
        return self.sandbox.scratch

    @property
    def machine(self) -> str:
        """Processor, system and Python, in words."""
        if self.here is None:
            return f"{platform.machine()}, {platform.system()}"
        return f"{self.here.machine.cpu}, {self.here.machine.system}, Python {self.here.software.python}"

    @property
    def clone(self) -> Path:
        """The whole of the source, in which its project lies."""
        folder = PurePosixPath(self.audited.record.source.folder or ".").parts
        return self.tree.parents[len(folder) - 1] if folder else self.tree

    def run(
        self,
        command: Sequence[str],
        *,
        log: str,
        room: Room | None = None,
        given: Mapping[Path, Path] = MappingProxyType({}),
        changes: bool = False,
        variables: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Run a command of the source at its root; as `Sandbox.run`.

        given: as `Access.given`.  changes: whether it is to write in the source, as stages do; they are told where a
        base lies. A source that replays finds its own modules.
        """
        inside = {**({"PYTHONPATH": str(self.tree)} if self.profiled else {}), **(variables or {})}
        reads: tuple[Path, ...] = () if changes else (self.clone,)
        if changes and self.base is not None:
            inside[BASE], reads = str(self.base.folder), (self.base.folder,)
        access = Access(reads, (self.clone,) if changes else (), given)
        self.sandbox.run(command, self.tree, log=log, room=room, access=access, variables=inside, meanwhile=meanwhile)

    def take(self, made: Path, name: str, *, max_bytes: int) -> Path:
        """Where the folder `made` is moved, out of the reach of the source; as `hostile.take`."""
        into = hostile.folder(self.scratch / TAKEN, self.scratch) / name
        hostile.take(made, into, self.scratch, max_bytes=max_bytes)
        return into

    def end(self, *, max_bytes: int) -> Workshop:
        """This workshop with the source as its commands have left it, taken out of their reach: none is run any more.

        max_bytes: what is larger is left out. Raises InputError where the source is not a folder any more.
        """
        clone = self.clone
        into = hostile.folder(self.scratch / TAKEN, self.scratch) / SOURCE
        hostile.take(clone, into, self.scratch, max_bytes=max_bytes, links=True)
        return replace(self, tree=into / self.tree.relative_to(clone))


@contextmanager
def opened(audited: Audited, options: Options, say: Callable[[str], None] = lambda words: None) -> Iterator[Workshop]:
    """A workshop to rebuild `audited` in a folder of its own, which goes away unless it is to be kept; as `make`."""
    with scratch(options.keep) as folder:
        yield make(audited, options, folder, say, replays=False)


def make(
    audited: Audited,
    options: Options,
    folder: Path,
    say: Callable[[str], None] = lambda words: None,
    *,
    answers: Sequence[Path] = (),
    replays: bool = True,
) -> Workshop:
    """A workshop for `audited` in `folder`.

    say: told what is done.  answers: folders, beside the release's own, of what the source is to make.  replays:
    whether its training is to be replayed. Raises what `source.fetch`, `base.have` and `packages.Setup.make` raise,
    Unavailable where the source cannot replay, and InputError where it could see what it is to make.
    """
    say(f"fetching the source at {audited.record.source.commit[:12]}")
    tree = fetch(audited.record.source, options.source, folder / SOURCE, audited.held, options.allowance)
    module = audited.project.replay
    profiled = audited.training is not None and module.is_in(tree)
    if not profiled and (replays or audited.record.rebuild is None):
        raise Unavailable(
            f"the source of this release has no module {module.module} that replays its training",
            mend="ask its maintainer to name one in release.replay (docs/reference/replay.md); "
            "a release of today says how it is rebuilt, and needs none for that",
        )
    began = _base(audited, options, folder / base.SCRATCH, say)
    packages = audited.packages.words if audited.packages else "the release pins none"
    say(f"packages: {options.setup.kind} ({packages})")
    accelerator = options.accelerator or (profiled and audited.environment.machine.accelerator is not None)
    programs = Path(options.setup.python).parent
    bare = Sandbox(folder, programs, options.bubblewrap, accelerator, options.allowance)
    sandbox = options.setup.make(audited.packages, tree, bare if profiled else lent(bare))
    for path in (audited.root, *answers):
        if options.bubblewrap and sandbox.shows(path):
            raise InputError(
                f"{path} lies among the programs that the source can see, with what it is to make",
                mend="move it into a folder of its own",
            )
    place = Workshop(audited, tree, sandbox, options.setup, None, (), profiled, began)
    if not profiled:
        return replace(place, cannot=installed.unlike(audited.packages, tree, options.setup, sandbox))
    here, cannot = _profile(place)
    return replace(place, here=here, cannot=cannot)


def _base(audited: Audited, options: Options, into: Path, say: Callable[[str], None]) -> GivenBase | None:
    """What the training began with, in the new folder `into`; None where it began with no base."""
    if (said := base.recorded(audited.root)) is None:
        if options.base is not None:
            raise InputError("the release began with no base", mend="leave --base out")
        return None
    say(f"fetching the base {said.uri}: {said.files} files, {said.size} bytes")
    return base.have(said, options.base, options.endpoint, into)


def _profile(place: Workshop) -> tuple[Environment | None, tuple[str, ...]]:
    """This machine under the release's profile, and why its bits may differ. What cannot be told accuses nobody."""
    try:
        room = place.sandbox.room("profile")
        out = room.out / "here"
        place.run(replay_command.environment(place.audited.project.replay.module, out), log="profile", room=room)
        here = Environment.read(TrainingFolder(place.take(out, "profile", max_bytes=SMALL)).environment)
    except GlasshouseError as problem:
        return None, (problem.message,)
    return here, foreign(place.audited.environment, here)


@contextmanager
def scratch(keep: Path | None) -> Iterator[Path]:
    """An empty folder of the auditor's to work in: `keep`, a new one that stays, or one that goes away at the end.

    Raises InputError where there is something at `keep`. Warns where what was made cannot be removed.
    """
    if keep is not None:
        try:
            keep.mkdir(mode=0o700, parents=True)
        except OSError as problem:
            raise InputError(f"{keep} is not a new folder: {problem.strerror}", mend="--keep DIR") from problem
        yield keep.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="glasshouse-audit-")).resolve()
    try:
        yield folder
    finally:
        hostile.remove(folder)
