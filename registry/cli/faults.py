"""What no command expected, in words: what broke, how to go on, and that it is neither a yes nor a no (exit code 3)."""

from __future__ import annotations

import errno
import os
import sys
import traceback

from registry.errors import Fault, GlasshouseError, Unavailable
from registry.variables import TRACEBACK

_FULL = "make room there, or point TMPDIR at a larger disk, and run it again"
_OF_THE_MACHINE = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("the quota of the disk is used up", _FULL),
    errno.EFBIG: ("the file is larger than this user may write", "raise the limit: ulimit -f unlimited"),
    errno.EROFS: ("the disk is read-only", "name a place that can be written, or point TMPDIR at one"),
    errno.EACCES: ("this user may not do that", "give the rights to it, or name another place"),
    errno.EPERM: ("this user may not do that", "give the rights to it, or name another place"),
    errno.EMFILE: ("too many files are open", "allow more: ulimit -n 4096"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs, and run it again"),
    errno.EIO: ("the disk does not answer", "look at the disk, and run it again"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "name a shorter path"),
}
"""What a machine refuses, by errno: what it means, and the mend."""


def explained(problem: BaseException) -> GlasshouseError:
    """`problem` as an error that a person can act on. What nobody foresaw becomes a Fault."""
    match problem:
        case GlasshouseError():
            return problem
        case BrokenPipeError():
            return Unavailable("whoever read the output has gone", mend="let it read to the end")
        case OSError(errno=int() as number) if number in _OF_THE_MACHINE:
            words, mend = _OF_THE_MACHINE[number]
            where = " and ".join(str(name) for name in (problem.filename, problem.filename2) if name is not None)
            return Unavailable(f"{where}: {words}" if where else words, mend=mend)
        case MemoryError():
            return Unavailable("there is not enough memory", mend="close other programs, or take a larger machine")
    said = " ".join(str(problem).split())[:300]
    return Fault(
        f"it stopped at a fault of its own, and nothing is known: {type(problem).__name__}{': ' if said else ''}{said}",
        mend=f"run it again with {TRACEBACK}=1, and report what it prints together with `glasshouse --version`",
    )


def trace(problem: BaseException) -> None:
    """Show where it failed, to whoever asked for that."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(problem, file=sys.stderr)
