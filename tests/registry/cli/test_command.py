"""The command as a person, and a program, runs it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry import __version__
from tests import reference

GLASSHOUSE = str(Path(sys.executable).parent / "glasshouse")


def run(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([GLASSHOUSE, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [path.split()[1:] for _, path in reference.commands()])
def test_every_help_page_ends_with_an_example(words: list[str]) -> None:
    done = run(*words, "--help")
    assert done.returncode == 0
    assert "Example: glasshouse " + " ".join(words) in " ".join(done.stdout.split())


@pytest.mark.parametrize("page", reference.PAGES, ids=lambda path: path.name)
def test_the_reference_is_that_of_this_code(page: Path) -> None:
    assert page.read_text() == reference.PAGES[page](), "run `make docs`"


HEAVY = ("torch", "mlflow", "transformers", "sigstore", "huggingface_hub", "model_signing", "requests", "pandas", "dvc")


@pytest.mark.parametrize(
    ("module", "heavy"), [("registry.cli", (*HEAVY, "pydantic")), ("registry.verification.steps", HEAVY)]
)
def test_help_and_verification_with_a_key_import_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_signer_there_is_no_verification(tmp_path: Path) -> None:
    done = run("verify", str(tmp_path))
    assert done.returncode == 2 and "nobody is trusted by default" in done.stderr and "--identity" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_identity_without_an_issuer_is_no_signer(tmp_path: Path) -> None:
    done = run("verify", str(tmp_path), "--identity", "a@example.org")
    assert done.returncode == 2 and "issuer" in done.stderr


def test_errors_for_a_program_are_one_json_document(tmp_path: Path) -> None:
    done = run("release", "prepare", "--draft", "--project", str(tmp_path), "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2 and error["code"] == "bad-input" and "params.yaml" in error["message"] and error["mend"]


def test_the_version_is_told() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_usage_errors_end_in_2() -> None:
    assert run("verify").returncode == 2
    assert run("no-such-command").returncode == 2


def test_a_usage_error_for_a_program_is_json_too() -> None:
    for words, said in (
        (("verify",), "REF"),
        (("hub", "token", "list"), "--root"),
        (("verify", "x", "--nay"), "--nay"),
    ):
        done = run(*words, "--json")
        error = json.loads(done.stdout)["error"]
        assert done.returncode == 2 and said in error["message"] and error["code"] == "bad-input"
        assert error["mend"].startswith("glasshouse ") and error["mend"].endswith(" --help")


def test_an_empty_directory_fails_and_says_why(tmp_path: Path) -> None:
    key = Path(__file__).parent / "public.pem"
    done = run("verify", str(tmp_path), "--key", str(key), "--json")
    report = json.loads(done.stdout)
    failed = {check["subject"]: check["reason"] for check in report["checks"] if check["verdict"] == "FAIL"}
    assert done.returncode == 1 and report["verdict"] == "FAIL"
    assert "missing" in failed["model.sig"]


def test_a_link_fails_before_anything_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "model.sig").symlink_to("/etc/passwd")
    done = run("verify", str(tmp_path), "--key", str(Path(__file__).parent / "public.pem"), "--json")
    checks = json.loads(done.stdout)["checks"]
    assert done.returncode == 1
    assert [check["verdict"] for check in checks] == ["FAIL"] + ["UNKNOWN"] * 7


def test_a_hub_that_does_not_answer_is_could_not_check() -> None:
    started = time.monotonic()
    key = str(Path(__file__).parent / "public.pem")
    done = run("verify", "hf://org/model@v1.0.0", "--key", key, "--endpoint", "http://127.0.0.1:9")
    assert done.returncode == 3 and "127.0.0.1:9" in done.stderr
    assert time.monotonic() - started < 60
