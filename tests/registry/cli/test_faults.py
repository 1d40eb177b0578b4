"""What nobody expected ends in exit code 3, with words and a mend, and never in a traceback or in 1."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from registry import cli, variables
from registry.attest.localkey import KeySigner
from registry.cli import faults
from registry.errors import GlasshouseError, InputError
from registry.hub.client import HubClient
from registry.release.publishing import publish
from registry.release.signing import sign
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))
PUBLIC = Path(__file__).parent / "public.pem"
Main = Callable[..., tuple[int, str, str]]


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """The command, in this process: (exit code, what it printed, what it said), while a command of it raises."""

    def called(problem: BaseException, *words: str) -> tuple[int, str, str]:
        def raising(*_: object, **__: object) -> None:
            raise problem

        monkeypatch.setattr("registry.hub.reference.parse", raising)
        monkeypatch.setattr(sys, "argv", ["glasshouse", "verify", "x", "--key", str(PUBLIC), *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, said.out, said.err

    return called


@pytest.mark.parametrize(
    "problem",
    [
        KeyError("x"), ValueError("a\nglasshouse: all is well"), EOFError(), RecursionError(), AssertionError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), OSError(errno.ENOTTY, "odd"), typer.Abort(), SystemExit(1),
        MemoryError(), OSError(errno.ENOSPC, "no space", "/tmp/x"), BrokenPipeError(errno.EPIPE, "gone"),
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_is_raised_ends_in_3_with_a_mend(main: Main, problem: BaseException) -> None:
    code, out, err = main(problem)
    assert (code, out) == (3, "") and "Traceback" not in err
    words = err.strip().removeprefix("Aborted!\n")  # typer's word for the end of input
    assert words.startswith("glasshouse: ") and "\n  to mend it: " in words and "\nglasshouse: " not in words


def test_a_program_gets_it_as_json(main: Main) -> None:
    code, out, err = main(KeyError("x"), "--json")
    told = json.loads(out)["error"]
    assert (code, err, told["code"]) == (3, "", "fault") and "KeyError" in told["message"]
    assert variables.TRACEBACK in told["mend"]


def test_who_asks_sees_where(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.TRACEBACK, "1")
    code, _, err = main(KeyError("x"))
    assert code == 3 and "Traceback" in err and "in raising" in err and "to mend it" in err


def test_a_command_s_own_1_stays_1(main: Main) -> None:
    assert main(typer.Exit(1))[0] == 1
    assert main(InputError("bad", mend="better"))[0] == 2
    assert main(KeyboardInterrupt())[0] == cli.CANCELLED


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (OSError(errno.ENOSPC, "no space", "/data/x"), ("/data/x: the disk is full", "TMPDIR")),
        (OSError(errno.EROFS, "read-only", "/data/x"), ("/data/x: the disk is read-only", "name a place")),
        (PermissionError(errno.EACCES, "denied", "a", None, "b"), ("a and b: this user may not", "rights")),
        (OSError(errno.EMFILE, "many"), ("too many files", "ulimit -n")),
        (MemoryError(), ("not enough memory", "larger machine")),
        (ModuleNotFoundError("no", name="nonesuch"), ("a fault of its own", variables.TRACEBACK)),
    ],
)  # fmt: skip
def test_what_a_machine_lacks_is_named(problem: BaseException, said: tuple[str, str]) -> None:
    found = faults.explained(problem)
    assert found.exit_code == 3 and said[0] in found.message and said[1] in found.mend


def test_an_error_of_ours_is_told_as_it_is() -> None:
    error: GlasshouseError = InputError("bad", mend="better")
    assert faults.explained(error) is error


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://user:secret@127.0.0.1:9"),
        ("HTTPS_PROXY", "odd://127.0.0.1:9"),
        ("SSL_CERT_FILE", "/no/such.pem"),
        ("SSL_CERT_FILE", str(PUBLIC)),
    ],
)
def test_a_broken_setting_of_the_network_is_named(name: str, value: str) -> None:
    quiet = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"), "")
    asked = (GLASSHOUSE, "verify", "hf://org/model@v1.0.0", "--key", PUBLIC, "--endpoint", "https://hub.example")
    done = run(*asked, **{**quiet, name: value})
    assert done.returncode == 3 and f"to mend it: correct or unset {name}" in done.stderr.replace(
        "SSL_CERT_DIR and ", ""
    )
    assert "secret" not in done.stderr


def test_what_a_terminal_cannot_write_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "ж…").mkdir()
    done = run(GLASSHOUSE, "verify", tmp_path / "ж…", "--key", PUBLIC, PYTHONIOENCODING="latin-1:strict")
    assert done.returncode == 1 and "\\u0436\\u2026" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_cannot_be_told_is_no_answer(tmp_path: Path, form: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [GLASSHOUSE, "verify", str(tmp_path), "--key", str(PUBLIC), *form],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3 and "the disk is full" in done.stderr and "Traceback" not in done.stderr


def test_a_reader_that_goes_away_leaves_no_1_behind(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [GLASSHOUSE, "verify", str(tmp_path), "--key", str(PUBLIC)],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 3 and "Traceback" not in done.stderr


@pytest.mark.parametrize("word", ["org/model", "org/model@v1.0.0"])
def test_a_reference_without_its_scheme_is_mended(tmp_path: Path, word: str) -> None:
    for words in (("verify", word, "--key", PUBLIC), ("trust", "show", word), ("trust", "pin", word)):
        done = run(GLASSHOUSE, *words)
        assert done.returncode == 2 and f"{word} is not there" in done.stderr
        assert f"hf://{word.partition('@')[0]}@v1.0.0" in done.stderr


def test_a_directory_may_be_reached_by_a_link_and_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "link").symlink_to("release")
    done = run(GLASSHOUSE, "verify", tmp_path / "link", "--key", PUBLIC, "--json")
    assert done.returncode == 1 and "link or a device" not in done.stdout  # it is looked at, and empty
    done = run(GLASSHOUSE, "verify", PUBLIC, "--key", PUBLIC)
    assert done.returncode == 2 and "is not a directory" in done.stderr


def test_a_download_that_the_disk_does_not_take_is_no_forgery(hub: HubInstance, tmp_path: Path) -> None:
    repo = "glasshouse/disk"
    synthetic_release.write(tmp_path / "release", repo=repo)
    sign(tmp_path / "release", KeySigner(write_key(tmp_path / "private.pem")))
    publish(tmp_path / "release", HubClient(hub.url, hub.token))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        [GLASSHOUSE, "verify", f"hf://{repo}@v1.0.0", "--key", str(PUBLIC), "--endpoint", hub.url],
        env={**os.environ, "HF_TOKEN": hub.token, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limited, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3 and "cannot be written: File too large" in done.stderr, done.stderr
