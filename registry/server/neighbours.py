"""Servers over one folder, perhaps on several hosts: whether the locks of each reach all others, before it starts.

    servers/ID    locked by the server that runs, and written to every BEAT_SECONDS

Law: a server does not start beside another one whose locks it does not see, nor beside one of another host over a file
system that is not known to show each host at once what the other has written, nor with another clock than the disk's.
Whoever holds no lock and has not written for a while is dead, and its file goes.
Sources: nfs(5), "File Locking", "Data and metadata coherence"; proc_pid_mountinfo(5).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from registry.errors import GlasshouseError, InputError
from registry.records.record import Record
from registry.server.store.places import SERVERS

BEAT_SECONDS = 1.0
WATCH_SECONDS = 3.0
"""How long somebody who holds no lock is watched for a sign of life."""
MAX_SKEW = 5.0
"""Seconds between the clocks of a host and of the disk: locks and uploads are held to be abandoned after a minute."""
MAX_BYTES = 4096
COHERENT = ("ceph", "gfs2", "nfs4")
"""File systems whose locks reach every host, and that show each what the others wrote; `nfs4` by its options alone."""
NFS = ("acregmax=0", "acdirmax=0", "lookupcache=none", "hard", "local_lock=none")
PAGE = "docs/how-to/several-servers.md"


class Neighbour(Record):
    """The first line of the file of a server."""

    host: str
    """Its name, for people."""
    kernel: str
    """Tells the kernel that it runs on, and the file system as that kernel knows it."""
    fault: str | None
    """Why no server of another host may serve the folder beside it, in words."""


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """A server's own sign. descriptor: of its file, locked.  offset: where it writes that it is alive."""

    descriptor: int
    offset: int

    def beat(self) -> None:
        """Write every BEAT_SECONDS that it is alive, from now to the end of this process."""
        Thread(target=self._beat, name="beat", daemon=True).start()

    def write(self) -> None:
        """Write once that it is alive."""
        os.pwrite(self.descriptor, b"%020d\n" % time.time_ns(), self.offset)

    def _beat(self) -> None:
        while True:
            with suppress(OSError):  # a disk that does not answer is told to whoever asks for what is on it
                self.write()
            time.sleep(BEAT_SECONDS)


@contextmanager
def beside(root: Path) -> Iterator[SignOfLife]:
    """Within: this server is known to the others over the folder `root`.

    Raises InputError, with the mend, where one of them would not be kept apart from this one by their locks.
    """
    folder = root / SERVERS
    folder.mkdir(parents=True, exist_ok=True)
    own = Neighbour(host=socket.gethostname(), kernel=_kernel(root), fault=_fault(root))
    place = folder / secrets.token_hex(8)
    descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        line = own.to_bytes() + b"\n"
        os.pwrite(descriptor, line, 0)
        presence = SignOfLife(descriptor, len(line))
        _check_clock(presence)
        _check(folder, place, own)
        yield presence
    finally:
        place.unlink(missing_ok=True)
        os.close(descriptor)


def _check_clock(presence: SignOfLife) -> None:
    before = time.time()
    presence.write()
    apart = os.fstat(presence.descriptor).st_mtime - before
    if abs(apart) > MAX_SKEW:
        raise InputError(
            f"the clock of this host and that of the disk are {abs(apart):.0f} seconds apart",
            mend="let both keep time by NTP: timedatectl set-ntp true",
        )


def _check(folder: Path, place: Path, own: Neighbour) -> None:
    """Hold each other server in `folder` to the law."""
    others = {path: _seen(path) for path in folder.iterdir() if path != place}
    quiet = {path: seen for path, seen in others.items() if seen is not None and not _is_locked(path)}
    if any(_told(seen).kernel != own.kernel for seen in quiet.values()):
        time.sleep(WATCH_SECONDS)  # it may be a host whose locks do not reach this one
    for path, seen in quiet.items():
        now = _seen(path)
        if now is not None and now != seen and not _is_locked(path):
            raise InputError(
                f"{_told(seen).host} serves {folder.parent}, too, and its locks are not seen here, so that commits of "
                "both would be lost",
                mend=f"serve it from one host, or mount it so that locks reach all hosts: {PAGE}",
            )
        if now == seen:
            path.unlink(missing_ok=True)  # it is dead
            others[path] = None
    for other in (_told(seen) for seen in others.values() if seen is not None):
        fault = own.fault or other.fault
        if other.kernel != own.kernel and fault is not None:
            raise InputError(
                f"{other.host} serves {folder.parent}, too: {fault}", mend=f"serve it from one host, or see {PAGE}"
            )


def _seen(path: Path) -> bytes | None:
    """What the file of a server says; None where it has gone."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES)
    except FileNotFoundError:
        return None


def _told(seen: bytes) -> Neighbour:
    """Who it is; nobody known, where that was not written whole."""
    try:
        return Neighbour.from_bytes(seen.partition(b"\n")[0], name=SERVERS, max_bytes=MAX_BYTES)
    except GlasshouseError:
        return Neighbour(host="another host", kernel="", fault="who it is was not written whole")


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _kernel(root: Path) -> str:
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {root.stat().st_dev}"


def _fault(root: Path) -> str | None:
    """Why servers of two hosts may not share the folder `root`, in words; None where nothing speaks against it."""
    return fault_of(Path("/proc/self/mountinfo").read_text(), root.stat().st_dev)


def fault_of(mounts: str, device: int) -> str | None:
    """The same of the file system `device`, by the lines of /proc/self/mountinfo."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for fields in (line.split(" ") for line in mounts.splitlines()):
        if fields[2:3] != [wanted] or "-" not in fields[6:-3]:
            continue
        kind, _, options = fields[fields.index("-", 6) + 1 :][:3]
        if kind not in COHERENT:
            return f"{kind} is not a file system that is known to show two hosts the same"
        told = {*fields[5].split(","), *options.split(",")}
        absent = [option for option in NFS if option not in told] if kind == "nfs4" else []
        return f"it is mounted without {', '.join(absent)}" if absent else None
    return "what file system it is on is not known"
