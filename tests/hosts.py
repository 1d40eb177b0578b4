"""Hosts on one machine: a host name, a machine id and processes of its own each, and one shared folder. By bubblewrap.

They have one kernel, so its locks reach all of them. `stranger` is a host that another kernel seems to run.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Host:
    """A host."""

    name: str
    """Its host name."""
    folder: Path
    """Where the test keeps what is its own."""
    stranger: bool = False
    """Whether it says that its kernel is another one."""

    @property
    def within(self) -> tuple[str, ...]:
        """What runs a command on it. Its processes begin with the same numbers as those of every other host."""
        self.folder.mkdir(exist_ok=True)
        machine = self.folder / "machine-id"
        machine.write_text(f"{uuid.uuid5(uuid.NAMESPACE_DNS, self.name).hex}\n")
        words = [
            "bwrap", "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
            "--hostname", self.name, "--ro-bind", str(machine), "/etc/machine-id", "--die-with-parent",
        ]  # fmt: skip
        if self.stranger:
            boot = self.folder / "boot-id"
            boot.write_text(f"{uuid.uuid5(uuid.NAMESPACE_DNS, self.name)}\n")
            words += ["--ro-bind", str(boot), BOOT_ID]
        return (*words, "--")
