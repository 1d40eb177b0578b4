"""`glasshouse verify` as it is run: without a network, interrupted, and on what is hostile."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from registry.attest import sigstore
from registry.attest.localkey import KeySigner
from registry.attest.signers import SigstoreIdentity
from registry.attest.sigstore.sign import SigstoreSigner
from registry.hub.client import HubClient
from registry.release.publishing import publish
from registry.release.signing import sign
from registry.verification.case import STEPS
from tests import synthetic_release
from tests.goldens.make_releases import goldens
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import MAINTAINER, write_key
from tests.sigstore_instance import SigstoreInstance

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))
OFFLINE = ("unshare", "--net")
DEADLINE = 90


@pytest.fixture(scope="module")
def by_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A release that a key signed, and its public key."""
    scratch = tmp_path_factory.mktemp("by-key")
    synthetic_release.write(scratch / "release")
    signer = KeySigner(write_key(scratch / "private.pem"))
    sign(scratch / "release", signer)
    (scratch / "public.pem").write_text(signer.public_key.pem)
    return scratch / "release", scratch / "public.pem"


@pytest.fixture(scope="module")
def released_offline(
    sigstore: SigstoreInstance, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, str, str]:
    """A release that an identity signed, the root of trust, and who it was."""
    folder = tmp_path_factory.mktemp("by-identity") / "release"
    synthetic_release.write(folder)
    sign(folder, SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(MAINTAINER)))
    return folder, sigstore.trusted_root_path, MAINTAINER, sigstore.issuer


@pytest.fixture
def own_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A Hub that nobody else publishes to."""
    with HubInstance.start(tmp_path_factory.mktemp("hub")) as instance:
        yield instance


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_it_needs_no_network_with_a_root_that_is_pinned(
    released_offline: tuple[Path, Path, str, str], tmp_path: Path
) -> None:
    """In a network namespace without an interface, in a home where no root was ever kept."""
    if shutil.which("unshare") is None or run(*OFFLINE, "true").returncode:
        pytest.skip("this machine allows no network namespace")
    folder, root, identity, issuer = released_offline
    reach = "import socket; socket.create_connection(('127.0.0.1', 1))"
    done = subprocess.run([*OFFLINE, sys.executable, "-c", reach], capture_output=True, text=True)
    assert "Network is unreachable" in done.stderr
    asked = (GLASSHOUSE, "verify", folder, "--identity", identity, "--issuer", issuer, "--json")
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = run(*OFFLINE, *asked, "--trusted-root", root, **home)
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (0, "PASS")
    assert not list(tmp_path.iterdir())


NOT_NEEDED = (
    *sigstore.LATER, *(f"rekor_types._internal.{form}" for form in sigstore.FORMS), sigstore.UNUSED, "sigstore.sign",
    "urllib3", "http.client", "ssl", "httpx2", "huggingface_hub", "model_signing", "dvc", "mlflow", "torch", "numpy",
    "importlib.metadata",
)  # fmt: skip
"""What asks a network, or is there to sign, to build and to release."""


@pytest.mark.parametrize("name", ["v1/sigstore-rekor1", "v1/sigstore-rekor2-stamped"])
def test_verifying_what_lies_here_loads_nothing_that_it_does_not_need(name: str) -> None:
    golden = next(golden for golden in goldens() if golden.name == name)
    (signer,) = golden.policy.signers
    assert isinstance(signer, SigstoreIdentity)
    said = f"print('loaded:', *[name for name in {NOT_NEEDED} if name in sys.modules], file=sys.stderr)"
    code = f"import atexit, sys; atexit.register(lambda: {said}); from glasshouse.__main__ import main; main()"
    with golden.unpacked() as root:
        who = ("--identity", signer.identity, "--issuer", signer.issuer, "--trusted-root", golden.trusted_root)
        done = run(sys.executable, "-c", code, "verify", root, *who)
    assert (done.returncode, done.stderr.split()) == (0, ["loaded:"]), done.stdout


def test_strictly_what_is_unknown_ends_in_1(by_key: tuple[Path, Path], tmp_path: Path) -> None:
    folder, public = by_key
    policy = tmp_path / "policy.json"
    rule = {"kind": "key", "pem": public.read_text()}
    policy.write_text(json.dumps({"signers": [rule], "status": {"maxAgeDays": 30}}))
    asked = (GLASSHOUSE, "verify", folder, "--policy", policy)
    assert run(*asked).returncode == 3
    assert run(*asked, "--strict").returncode == 1
    assert run(GLASSHOUSE, "verify", folder, "--key", public, "--strict").returncode == 0


def test_a_person_reads_a_line_for_each_step_and_one_that_says_what_was_established(
    released_offline: tuple[Path, Path, str, str],
) -> None:
    folder, root, identity, issuer = released_offline
    signer = ("--identity", identity, "--issuer", issuer)
    asked = (GLASSHOUSE, "verify", str(folder), *signer, "--trusted-root", str(root))
    piped = run(*asked).stdout.splitlines()
    assert [line.split()[:3] for line in piped[:-1]] == [[str(step), step.word, "PASS"] for step in STEPS]
    release = f"{synthetic_release.REPO}@v1.0.0, made from commit {synthetic_release.COMMIT[:12]}"
    assert piped[-1].startswith(f"PASS: {identity} (by {issuer}) signed {release} and data with Merkle root ")
    shown = _in_a_terminal(*asked)
    assert len(shown.strip().splitlines()) <= 15
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert plain != shown and max(map(len, plain.splitlines())) <= 80
    assert " ".join(piped[-1].split()) in " ".join(plain.split())
    every = run(*asked, "-v").stdout
    assert every.count("signatures") > 5 and every.splitlines()[-1] == piped[-1]


def test_one_file_altered_is_named_in_its_step_s_line_and_one_bundle_below(
    by_key: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, public = Path(shutil.copytree(by_key[0], tmp_path / "release")), by_key[1]
    with (folder / "config.json").open("ab") as file:
        file.write(b" ")
    (folder / "attestations/card.sigstore.json").unlink()
    done = run(GLASSHOUSE, "verify", folder, "--key", public)
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and lines[2].split()[:3] == ["2", "bytes", "FAIL"]
    assert [line for line in lines if "config.json" in line and "altered" in line]
    assert [line for line in lines if line.startswith("FAIL  4 complete: attestations/card.sigstore.json")]
    assert lines[-1].startswith("FAIL: ") and "Do not load it" in lines[-1]


@pytest.mark.parametrize("name", ["\x1b[31mred", "\u202ecod[bold].md"])
def test_a_hostile_name_is_shown_and_drives_nothing(by_key: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    folder, public = Path(shutil.copytree(by_key[0], tmp_path / "release")), by_key[1]
    (folder / name).write_text("\x1b[2J")
    for form in ((), ("--json",)):
        done = run(GLASSHOUSE, "verify", folder, "--key", public, *form)
        assert done.returncode == 1
        assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n"))


def test_it_shows_a_person_how_far_it_is_and_stops_at_once_when_it_is_cancelled(
    by_key: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, public = Path(shutil.copytree(by_key[0], tmp_path / "release")), by_key[1]
    (folder / "attestations/release.sigstore.json").unlink()  # which would tell its size, and it would not be read
    os.truncate(folder / "model.safetensors", 1 << 40)
    before = sorted(folder.rglob("*"))
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [GLASSHOUSE, "verify", str(folder), "--key", str(public)],
        stdout=subprocess.PIPE, stderr=side, text=True, env={**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm"},
    )  # fmt: skip
    os.close(side)
    try:
        _shown(terminal, "fetching and hashing", "TB", "MB/s")
        process.send_signal(signal.SIGINT)
        _shown(terminal, "cancelled; nothing half-written was left behind")
        assert process.communicate(timeout=DEADLINE)[0] == "" and process.returncode == 130
    finally:
        process.kill()  # else, where one of these fails, it reads a terabyte
    os.close(terminal)  # only now: it may have something to say until its end
    assert sorted(folder.rglob("*")) == before and {path.name for path in tmp_path.iterdir()} == {"release"}


def test_cancelled_while_it_downloads_it_leaves_nothing(
    by_key: tuple[Path, Path], own_hub: HubInstance, tmp_path: Path
) -> None:
    hub = own_hub
    publish(by_key[0], HubClient(hub.url, hub.token))
    into = tmp_path / "here" / "model"
    asked = (
        GLASSHOUSE,
        "verify",
        f"hf://{synthetic_release.REPO}@v1.0.0",
        "--key",
        str(by_key[1]),
        "--into",
        str(into),
    )
    environment = {"TMPDIR": str(tmp_path), "HF_TOKEN": hub.token, "NO_PROXY": "127.0.0.1"}
    with _slow_hub(hub.url) as (endpoint, begun):
        process = subprocess.Popen(
            [*asked, "--endpoint", endpoint],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        assert begun.wait(DEADLINE), process.communicate(timeout=DEADLINE)
        _cancelled(process)
        assert not into.exists() and not [path for path in tmp_path.rglob("*") if path.is_file()]
    again = run(*asked, "--endpoint", hub.url, **environment)
    assert again.returncode == 0 and (into / "model.sig").is_file()


@contextmanager
def _slow_hub(url: str) -> Iterator[tuple[str, threading.Event]]:
    """The Hub at `url`, but that it takes seconds over the weights; and whether they were asked for."""
    asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            with urlopen(Request(f"{url}{self.path}", headers=headers, method=self.command)) as answer:
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
            if "model.safetensors" not in self.path:
                self.wfile.write(body)
                return
            try:
                for start in range(0, len(body), len(body) // 50):
                    self.wfile.write(body[start : start + len(body) // 50])
                    asked.set()
                    time.sleep(0.1)
            except OSError:
                pass  # the client hung up

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def _cancelled(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C, and see it end as a cancelled command does, long before its work is done."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (130, "") and "cancelled" in err and "Traceback" not in err, err


def _in_a_terminal(*command: str) -> str:
    """What a terminal of 80 columns gets on standard output."""
    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(command, stdout=side, stderr=subprocess.PIPE, env={**surroundings, "TERM": "xterm"})
    os.close(side)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass  # Linux says so where the other side is closed
    process.communicate(timeout=DEADLINE)
    os.close(terminal)
    return shown.decode()


def _shown(terminal: int, *words: str) -> None:
    """Read what a terminal is sent, until it has been sent all these words."""
    shown, deadline = "", time.monotonic() + DEADLINE
    while not all(word in shown for word in words):
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
