"""Step 2 of a replay, and the first of a rebuild: a folder where the source of one verified release can be run."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from registry.audit.machine import foreign
from registry.audit.packages import Setup
from registry.audit.sandbox import Sandbox
from registry.audit.source import fetch
from registry.audit.subject import Audited
from registry.errors import GlasshouseError, Unavailable
from registry.records import replay_command
from registry.records.environment import Environment
from registry.records.training_folder import TrainingFolder


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

    def run(
        self,
        command: Sequence[str],
        *,
        log: str,
        variables: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Run a command of the source at its root; as `Sandbox.run`."""
        inside = {"PYTHONPATH": str(self.tree), **(variables or {})}
        self.sandbox.run(command, self.tree, log=log, variables=inside, meanwhile=meanwhile)


@contextmanager
def opened(audited: Audited, options: Options, say: Callable[[str], None] = lambda words: None) -> Iterator[Workshop]:
    """A workshop for `audited` in a folder of its own, which goes away unless it is to be kept; else as `make`."""
    with scratch(options.keep) as folder:
        yield make(audited, options, folder, say)


def make(audited: Audited, options: Options, folder: Path, say: Callable[[str], None] = lambda words: None) -> Workshop:
    """A workshop for `audited` in `folder`.

    say: told what is done. Raises what `source.fetch` and `packages.Setup.make` raise, and Unavailable where the source
    cannot replay.
    """
    say(f"fetching the source at {audited.record.source.commit[:12]}")
    project = audited.project
    tree = fetch(audited.record.source, options.source, folder / "source", audited.root, project.lock)
    if not project.replay.is_in(tree):
        raise Unavailable(
            f"the source of this release has no module {project.replay.module} that replays its training",
            mend="ask its maintainer to name one in release.replay: docs/reference/replay.md",
        )
    say(f"packages: {options.setup.kind}")
    programs = Path(options.setup.python).parent
    sandbox = options.setup.make(tree / project.lock, Sandbox(folder, programs, options.bubblewrap))
    here, cannot = _profile(audited, tree, sandbox)
    return Workshop(audited, tree, sandbox, options.setup, here, cannot)


def _profile(audited: Audited, tree: Path, sandbox: Sandbox) -> tuple[Environment | None, tuple[str, ...]]:
    """This machine under the release's profile, and why its bits may differ. What cannot be told accuses nobody."""
    out = sandbox.scratch / "here"
    try:
        command = replay_command.environment(audited.project.replay.module, out)
        sandbox.run(command, tree, log="profile", variables={"PYTHONPATH": str(tree)})
        here = Environment.read(TrainingFolder(out).environment)
    except GlasshouseError as problem:
        return None, (problem.message,)
    return here, foreign(audited.environment, here)


@contextmanager
def scratch(keep: Path | None) -> Iterator[Path]:
    """An empty folder to work in: `keep`, a new one that stays, or one that goes away at the end of the block."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="glasshouse-audit-") as folder:
        yield Path(folder).resolve()
