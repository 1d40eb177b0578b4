"""What the source of a release sees while it runs, and what its end means."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from registry.audit import view
from registry.audit.packages import requirement
from registry.audit.sandbox import Sandbox
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path, PROGRAMS)


def python(sandbox: Sandbox, code: str, *, installing: bool = False) -> str:
    """What it says."""
    log = f"out{len(list(sandbox.scratch.glob('logs/*')))}"
    room = sandbox.room(log)
    sandbox.run(["python", "-c", code], room.out, log=log, room=room, installing=installing)
    return sandbox.log(log).read_text()


def test_a_child_sees_no_secrets(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "SIGSTORE_ID_TOKEN", "AWS_SECRET_ACCESS_KEY", "PIP_INDEX_URL", "GLASSHOUSE_KEY_PASSWORD"):
        monkeypatch.setenv(name, "hunter2")
    code = "import os; print(sorted(os.environ), os.environ['HOME'])"
    said = python(sandbox, code)
    assert "hunter2" not in python(sandbox, "import os; print(os.environ)")
    assert str(sandbox.scratch / "rooms/out0/home") in said and "PIP_INDEX_URL" not in said
    installing = python(sandbox, code, installing=True)
    assert "PIP_INDEX_URL" in installing and "HF_TOKEN" not in installing


def test_where_packages_come_from_is_told_to_uv_too(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIND_LINKS", "EXTRA_INDEX_URL"):
        monkeypatch.delenv(f"UV_{name}", raising=False)
        monkeypatch.setenv(f"PIP_{name}", "https://wheels.example.org")
        room = sandbox.room("out")
        assert sandbox.environment(room, installing=True)[f"UV_{name}"] == "https://wheels.example.org"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import sys; sys.exit('it does not hold\\n  mend: report it')", VerificationError),
        ("raise MemoryError", Unavailable),  # ends in 1 as well, and accuses nobody
        ("import sys; sys.exit(2)", InputError),
        ("import sys; sys.exit(3)", Unavailable),
        ("import os; os.kill(os.getpid(), 9)", Unavailable),  # out of memory
        ("import os; os.kill(os.getpid(), 4)", Unavailable),  # a CPU without the instruction
    ],
)
def test_what_an_exit_code_says(sandbox: Sandbox, code: str, kind: type[GlasshouseError]) -> None:
    with pytest.raises(kind) as raised:
        python(sandbox, code)
    assert type(raised.value) is kind


def test_last_words_cannot_drive_a_terminal(sandbox: Sandbox) -> None:
    with pytest.raises(InputError) as raised:
        python(sandbox, "import sys; print('\\x1b[2Jgone\\x07', file=sys.stderr); sys.exit(2)")
    assert raised.value.message.endswith("?[2Jgone?")


def test_an_interrupted_command_leaves_no_process(sandbox: Sandbox) -> None:
    """Nor any that it started."""
    mark = sandbox.scratch / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(mark)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}} ')\n"
        "time.sleep(60)"
    )

    def interrupt() -> None:
        if mark.exists() and mark.read_text().endswith(" "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sandbox.run(["python", "-c", code], sandbox.scratch, log="out", meanwhile=interrupt)
    deadline = time.monotonic() + 30
    while any(_alive(int(pid)) for pid in mark.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_program_that_is_missing_is_unavailable(sandbox: Sandbox) -> None:
    with pytest.raises(Unavailable, match="no-such-program"):
        sandbox.run(["no-such-program"], sandbox.scratch, log="out")


WALLED = pytest.mark.skipif(view.fault() is not None, reason=view.fault() or "")


@WALLED
def test_behind_the_wall_there_is_no_network_and_nobody_elses_file(tmp_path: Path) -> None:
    scratch, outside = tmp_path / "scratch", tmp_path / "secret.txt"
    scratch.mkdir()
    outside.write_text("secret")
    sandbox = Sandbox(scratch, PROGRAMS, bubblewrap=True)
    code = (
        "import os, socket, pathlib\n"
        f"print(pathlib.Path({str(outside)!r}).exists(), [n for _, n in socket.if_nameindex()], os.getcwd())\n"
        "print(sorted(os.listdir('/etc')), os.listdir(os.path.dirname(os.getcwd())))\n"
        "pathlib.Path('made').write_text('x')"
    )
    first, etc = python(sandbox, code).splitlines()
    room = scratch / "rooms/out0"
    assert first == f"False ['lo'] {room}/out"
    assert "'passwd'" in etc and "shadow" not in etc and "ssl" not in etc
    made = room / "out/made"
    assert made.read_text() == "x" and os.getuid() == made.stat().st_uid


@WALLED
def test_a_program_of_that_name_in_the_environment_is_not_the_wall(tmp_path: Path) -> None:
    planted = tmp_path / "venv/bin"
    planted.mkdir(parents=True)
    (planted / "bwrap").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (planted / "bwrap").chmod(0o755)
    sandbox = Sandbox(tmp_path, planted, bubblewrap=True)
    room = sandbox.room("out")
    sandbox.run(["true"], room.out, log="out", room=room)
    assert not (tmp_path / "ran").exists()


def test_the_installer_is_taken_from_the_lock_with_its_digests() -> None:
    lock = (
        "a==1 \\\n    --hash=sha256:aa\nuv==2 ; python_version > '3' \\\n    --hash=sha256:bb \\\n"
        "    --hash=sha256:cc\nuvicorn==3 \\\n    --hash=sha256:dd\n"
    )
    assert requirement(lock, "uv") == (
        "uv==2 ; python_version > '3' \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    )
    assert requirement(lock, "pip") == ""


def test_a_signal_while_a_child_starts_leaves_none(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **settings: Any) -> None:
            super().__init__(*words, **settings)
            started.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("registry.audit.sandbox.subprocess.Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        sandbox.run(["sleep", "600"], sandbox.scratch, log="out")
    assert started[0].poll() == 0  # the warden, which has ended all that it started


def test_an_auditor_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    """Not even by SIGKILL: the warden sees that nobody listens any more."""
    code = (
        "from pathlib import Path\n"
        "from registry.audit.sandbox import Sandbox\n"
        f"sandbox = Sandbox(Path({str(tmp_path)!r}), Path({str(PROGRAMS)!r}))\n"
        "room = sandbox.room('out')\n"
        "said = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'\n"
        "sandbox.run(['python', '-c', said], room.out, log='out', room=room)\n"
    )
    log = tmp_path / "logs/out.log"
    with subprocess.Popen([sys.executable, "-c", code]) as auditor:
        while not (log.exists() and log.read_text().endswith("\n")):
            assert auditor.poll() is None
            time.sleep(0.05)
        auditor.kill()
    deadline = time.monotonic() + 30
    while _alive(int(log.read_text().split()[0])):
        assert time.monotonic() < deadline
        time.sleep(0.05)
