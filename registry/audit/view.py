"""What a child of an audit sees of the system behind bubblewrap: programs, and the few settings that they need.

What is not named here is not seen: no home, no other person's file, nothing of /etc that says who works on this machine
or how.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

BUBBLEWRAP = "bwrap"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
"""Programs and libraries, read-only."""
SETTINGS = (
    "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/nsswitch.conf", "/etc/protocols", "/etc/services",
    "/etc/fonts", "/etc/mime.types",
)  # fmt: skip
"""What libraries look up in /etc: where others lie, and names that are the same on every machine."""
NETWORK = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/gai.conf",
    "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/ca-certificates/extracted",
    "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust/extracted",
)  # fmt: skip
"""What of /etc is seen beside them where there is a network: how names are resolved, and whom certificates are from."""
ACCELERATORS = ("/dev/nvidia*", "/dev/kfd", "/dev/dri/render*")
"""Devices of a release that was trained on an accelerator."""
SECONDS = 10.0
MEND = "apt install bubblewrap; where it is there, let users make namespaces: sysctl kernel.unprivileged_userns_clone=1"


def wall(names: Path, *, network: bool, accelerator: bool = False) -> list[str]:
    """The first words of a command that is walled in.

    names: a folder with `passwd`, `group` and `hosts`, as `told` gives them.  network: whether it has one.
    accelerator: whether it sees graphics cards.
    """
    words = [program() or BUBBLEWRAP, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--share-net"] if network else []
    seen = (*SYSTEM, *SETTINGS, *(NETWORK if network else ()))
    words += [word for path in seen for word in ("--ro-bind-try", path, path)]
    own = ("passwd", "group") if network else ("passwd", "group", "hosts")
    words += [word for name in own for word in ("--ro-bind", str(names / name), f"/etc/{name}")]
    words += ["--proc", "/proc", "--dev", "/dev"]
    devices = [str(path) for pattern in ACCELERATORS for path in sorted(Path("/").glob(pattern[1:])) if accelerator]
    return words + [word for path in devices for word in ("--dev-bind", path, path)]


def told() -> dict[str, bytes]:
    """Files of /etc that a child sees in place of the auditor's, by their name: who it is, and where `localhost` is."""
    return {
        "passwd": f"auditor:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n".encode(),
        "group": f"auditor:x:{os.getgid()}:\n".encode(),
        "hosts": b"127.0.0.1 localhost\n::1 localhost\n",
    }


def program() -> str | None:
    """Where bubblewrap lies, by the auditor's own PATH; None where it is not installed."""
    return shutil.which(BUBBLEWRAP)


def fault() -> str | None:
    """Why nothing can be walled in here; None where it can."""
    found = program()
    if found is None:
        return "bubblewrap is not installed"
    command = [found, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"bubblewrap does not run: {problem}"
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        return f"bubblewrap can wall nothing in: {said[-1][:200]}"
    return None
