"""Where the source of a release runs: in rooms of its own, with an environment of its own, and within limits.

A child sees PATH, HOME (in its room), TMPDIR, the language, and nothing else of the auditor's environment: no tokens,
no keys, no agent. Only while packages are installed does it see where packages come from, without passwords.

With `bubblewrap` it sees the system's programs, its Python, and what it was given, and it has no network. It writes in
its room, and in what else it was given to write. That is the wall. Without it the child runs as the auditor and can do
what the auditor can; what stays is that it is bounded and ended by a warden, and that the auditor's own process follows
no link that it lays.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import registry
from registry import variables
from registry.audit import hostile, index, view, warden
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.project.git import NOBODY, PROTOCOLS
from registry.variables import TRACKING

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
POLL_SECONDS = 0.2
LAST_WORDS = 4096
GRACE_SECONDS = warden.PATIENCE_SECONDS + 10
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOGS, ROOMS = "logs", "rooms"


def _most_memory() -> int:
    """Nine tenths of the memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10


BARE = "nothing walled in the code, so that it could have copied what it was to make"
"""What is said of an audit without bubblewrap in which the same came out: it proves nothing."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one command of a release may use up. Beyond it, it is ended, which accuses nobody."""

    seconds: float = 7 * 24 * 3600.0
    """From its start to its end."""
    memory: int = field(default_factory=_most_memory)
    """Bytes of memory of all its processes: what each has alone, and by how much what the machine's processes share has
    grown meanwhile."""
    processes: int = 4096
    """Processes at a time."""
    file: int = 1 << 40
    """Bytes of one file."""
    free: int = 1 << 30
    """Bytes that stay free on the disk."""
    names: int = 10_000
    """Files that the disk can still take."""
    log: int = 64 << 20
    """Bytes of what it says that are kept, and its last words."""


WORDS = {
    "seconds": ("it ran for more than {seconds:.0f} seconds", "give it more: --hours"),
    "disk": ("it left less than {free} bytes, or room for {names} files, on the disk", "make room, or set TMPDIR"),
    "processes": ("it had more than {processes} processes at a time", "read its source"),
    "memory": ("it used more than {memory} bytes of memory", "audit on a machine with more memory"),
}
"""What is said of a bound that was broken, and what to do."""


@dataclass(frozen=True, slots=True)
class Room:
    """Folders for one command."""

    root: Path
    """What holds them: the auditor's."""

    @property
    def out(self) -> Path:
        """Where it writes what it makes."""
        return self.root / "out"

    @property
    def home(self) -> Path:
        """Its HOME."""
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        """Its TMPDIR; behind the wall, also its /tmp."""
        return self.root / "tmp"

    @property
    def shared(self) -> Path:
        """Behind the wall, its /dev/shm: memory that is shared counts as disk."""
        return self.root / "shm"

    @property
    def names(self) -> Path:
        """Files that it sees in place of the auditor's in /etc, and cannot write."""
        return self.root / "etc"


@dataclass(frozen=True, slots=True)
class Access:
    """What of the auditor's disk a command sees behind the wall, beside its programs and its room."""

    reads: tuple[Path, ...] = ()
    """Files and folders that it can read."""
    writes: tuple[Path, ...] = ()
    """Folders in which it can write."""
    given: Mapping[Path, Path] = field(default_factory=dict)
    """Files of the auditor's that it can read, by where it finds them: that tells nothing of where they lie."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A scratch folder in which to run what cannot be trusted."""

    scratch: Path
    """Absolute; the auditor's. What a child writes lies in rooms below it, and where it is given to write."""
    programs: Path
    """The folder with its `python` and `dvc`."""
    bubblewrap: bool = False
    """Whether the child is walled in."""
    accelerator: bool = False
    """Whether it sees graphics cards behind the wall."""
    allowance: Allowance = field(default_factory=Allowance)
    """What it may use up."""
    tools: Path | None = None
    """A folder of the auditor's programs, found after `programs`: `dvc` and `glasshouse`, for a source that locks
    neither."""
    shown: tuple[Path, ...] = ()
    """What else of the auditor's programs it sees behind the wall: what `tools` need, an interpreter that lies
    elsewhere."""

    def log(self, name: str) -> Path:
        """Where what the command `name` says is written, out of the reach of what it runs."""
        return self.scratch / LOGS / f"{name}.log"

    def room(self, name: str) -> Room:
        """A new room for the command `name`."""
        room = Room(hostile.new_folder(self._free(ROOMS, name), self.scratch))
        for folder in (room.out, room.home, room.temporary, room.shared, room.names):
            hostile.new_folder(folder, self.scratch)
        for name, data in view.told().items():
            with hostile.new_file(room.names / name, self.scratch) as stream:
                stream.write(data)
        return room

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        log: str,
        room: Room | None = None,
        access: Access = Access(),
        installing: bool = False,
        variables: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Run `command` in `folder` to its end; what it says goes to `self.log(log)`.

        room: where it writes; None: a new one.  installing: it may see where packages come from, and the network.
        meanwhile: called several times a second. However this ends, no process of the command is left. Raises
        Unavailable where it broke a bound, and what its exit code says in the words of registry.errors (1 with a mend:
        VerificationError; 1 without, as after any exception, 3, or a signal, as on a CPU without an instruction:
        Unavailable; else InputError), with its last words.
        """
        room = room or self.room(log)
        environment = {**self.environment(room, installing=installing), **(variables or {})}
        order = {
            "command": self.wrapped(command, folder, room, access, network=installing),
            "folder": str(folder),
            "allowance": asdict(self.allowance),
            "disk": str(self.scratch),
            "walled": self.bubblewrap,
        }
        path = self._free(LOGS, log, ".log")
        with hostile.new_file(path, self.scratch) as stream, self._copied(access.given):
            answer = _watched(order, environment, stream.fileno(), meanwhile)
        self._judge(command, answer, path)

    def environment(self, room: Room, *, installing: bool = False) -> dict[str, str]:
        """The whole environment of a child."""
        return {
            **(index.public(os.environ) if installing else {}),
            **NOBODY,
            "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
            "PATH": os.pathsep.join((str(self.programs), *([str(self.tools)] if self.tools else []), SYSTEM_PATH)),
            "HOME": str(room.home),
            "TMPDIR": str(room.temporary),
            "LANG": "C.UTF-8",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(room.home / "dvc"),
            "DVC_SYSTEM_CONFIG_DIR": str(room.home),
            TRACKING: "off",
            "PYTHONDONTWRITEBYTECODE": "1",
            variables.REHASH: "1",
            variables.ENGINE: "local",
        }

    def wrapped(
        self, command: Sequence[str], folder: Path, room: Room, access: Access = Access(), *, network: bool = False
    ) -> list[str]:
        """`command`, behind bubblewrap where that was asked for."""
        if not self.bubblewrap:
            return list(command)
        wall = view.wall(room.names, network=network, accelerator=self.accelerator)
        for path, place in ((room.temporary, "/tmp"), (room.shared, "/dev/shm")):  # others may lie in these
            wall += ["--bind", str(path), place]
        packages = index.files(os.environ) if network else ()
        for path in dict.fromkeys((*self._programs, *packages, *access.reads)):
            wall += ["--ro-bind-try", str(path), str(path)]
        for inside, path in access.given.items():
            wall += ["--ro-bind", str(path), str(inside)]
        for path in (room.out, room.home, room.temporary, *access.writes):
            wall += ["--bind", str(path), str(path)]
        return [*wall, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(folder), "--", *command]

    def shows(self, path: Path) -> bool:
        """Whether every child can see, behind the wall, what is at `path`: it lies among its programs."""
        seen = (*map(Path, view.SYSTEM), *self._programs)
        return any(path.resolve().is_relative_to(one.resolve()) for one in seen)

    @contextmanager
    def _copied(self, given: Mapping[Path, Path]) -> Iterator[None]:
        """Within: what a command is given lies, where there is no wall to show it there, as a copy."""
        if self.bubblewrap:
            yield
            return
        try:
            for inside, path in given.items():
                hostile.folder(inside.parent, self.scratch)
                with path.open("rb") as source, hostile.new_file(inside, self.scratch) as target:
                    shutil.copyfileobj(source, target)
            yield
        finally:
            for folder in {inside.parent for inside in given}:
                hostile.remove(folder)

    @property
    def _programs(self) -> tuple[Path, ...]:
        """The folders of its programs. This package's own is one: an environment can name it in place of holding it."""
        own = (Path(sys.base_prefix), self.programs.parent, Path(registry.__file__).parent)
        return (*own, *([self.tools] if self.tools else []), *self.shown)

    def _free(self, folder: str, name: str, ending: str = "") -> Path:
        """The first of NAME, NAME-1, NAME-2 and so on in a folder of the scratch folder at which there is nothing."""
        held = hostile.folder(self.scratch / folder, self.scratch)
        places = (held / f"{name}{f'-{number}' if number else ''}{ending}" for number in count())
        return next(place for place in places if not os.path.lexists(place))

    def _judge(self, command: Sequence[str], answer: Mapping[str, Any] | None, log: Path) -> None:
        """Raises what the warden's answer means, as `run` says."""
        plain = [word for at, word in enumerate(command) if "-c" not in (word, command[max(0, at - 1)])]  # no settings
        name = " ".join(Path(word).name if at == 0 else word for at, word in enumerate(plain[:3]))
        if answer is None:
            raise Unavailable(f"what watches `{name}` was ended", mend=f"read {log}, and audit behind the wall")
        if answer["start"] is not None:
            raise Unavailable(
                f"{command[0]} does not start: {answer['start']}", mend=f"install {command[0]} and run again"
            )
        if answer["left"]:
            raise Unavailable(f"{answer['left']} processes of `{name}` could not be ended", mend="restart this machine")
        if answer["over"] is not None:
            words, mend = WORDS[answer["over"]]
            raise Unavailable(f"`{name}` was ended: {words.format(**asdict(self.allowance))}", mend=mend)
        if answer["code"]:
            raise _failure(name, answer["code"], log, self.scratch)


def _watched(
    order: Mapping[str, Any], environment: Mapping[str, str], log: int, meanwhile: Callable[[], None]
) -> Mapping[str, Any] | None:
    """The warden's answer to `order`; None where it was ended before it gave one.  log: where it writes."""
    command = [sys.executable, "-I", "-S", "-B", warden.__file__]
    process: subprocess.Popen[bytes] | None = None
    try:
        with _signals_later():
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=dict(environment),
                start_new_session=True,
            )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        while not _ended(process, POLL_SECONDS):
            meanwhile()
        said = process.stdout.read()
    finally:
        if process is not None:
            _end(process)
    return json.loads(said) if process.returncode == 0 and said else None


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether `process` ends within so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have a warden end its command, and then itself."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    if not _ended(process, GRACE_SECONDS):
        process.kill()
        process.wait()


@contextmanager
def _signals_later() -> Iterator[None]:
    """Within, what asks this process to end waits for the end of the block: a child that has started is then known."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _failure(name: str, code: int, log: Path, scratch: Path) -> GlasshouseError:
    """What the exit code says, with the last line of the log: words of a child that nobody trusts."""
    with hostile.opened(log, scratch) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - LAST_WORDS))
        lines = stream.read().decode("utf-8", "replace").strip().splitlines() or ["(it said nothing)"]
    said = [line for line in lines if not line.lstrip().startswith("mend:")]
    told = said[-1] if said else lines[-1]
    words = "".join(c if c.isprintable() else "?" for c in told.strip())[:300]
    kind = Unavailable if code < 0 else {1: VerificationError, 3: Unavailable}.get(code, InputError)
    if kind is VerificationError and len(said) == len(lines):
        kind = Unavailable  # 1 is also how Python ends after an exception that nobody meant; that accuses nobody
    return kind(f"`{name}` ended with {code}: {words}", mend=f"read {log}")
