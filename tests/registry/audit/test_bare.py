"""A directory that the stock `model_signing sign` signed: checked as far as it goes, and never called a release."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verify import Verifier
from registry.audit.verify import verify
from registry.hub.reference import DirectoryReference
from registry.report import Report, Verdict
from tests.registry.attest.conftest import write_key

GLASSHOUSE = Path(sys.executable).parent / "glasshouse"


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Verifier]:
    """What the stock tool signs, and who must have signed it."""
    scratch = tmp_path_factory.mktemp("stock")
    folder = scratch / "model"
    (folder / "sub").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "sub/more.txt"):
        (folder / name).write_text(name)
    key = write_key(scratch / "private.pem")
    tool = str(Path(sys.executable).parent / "model_signing")
    command = [tool, "sign", "key", str(folder), "--private_key", str(key), "--signature", str(folder / "model.sig")]
    subprocess.run(command, check=True, capture_output=True)
    public = KeySigner(key).public_key
    (scratch / "public.pem").write_text(public.pem)
    return folder, Verifier(Policy(signers=(public,)))


def report(folder: Path, verifier: Verifier) -> Report:
    return verify(folder, DirectoryReference(folder), "a directory", verifier)


def test_its_bytes_and_signature_pass_and_the_rest_is_unknown_with_a_reason(stock: tuple[Path, Verifier]) -> None:
    result = report(*stock)
    assert result.verdict is Verdict.UNKNOWN
    verdicts = {check.name: check.verdict for check in result.checks}
    assert [name for name, verdict in verdicts.items() if verdict is Verdict.UNKNOWN] == ["complete", "lineage"]
    assert all("attestations" in check.reason for check in result.checks if check.verdict is Verdict.UNKNOWN)


def test_the_command_ends_in_3_and_strictly_in_1(stock: tuple[Path, Verifier]) -> None:
    words = [str(GLASSHOUSE), "verify", str(stock[0]), "--key", str(stock[0].parent / "public.pem")]
    assert [subprocess.run([*words, *more], capture_output=True).returncode for more in ([], ["--strict"])] == [3, 1]


@pytest.mark.parametrize("change", ["alter", "add", "drop", "rename", "resign"])
def test_every_change_is_seen(stock: tuple[Path, Verifier], tmp_path: Path, change: str) -> None:
    folder = Path(shutil.copytree(stock[0], tmp_path / "copy"))
    match change:
        case "alter":
            (folder / "config.json").write_text("config_json")
        case "add":
            (folder / "sub" / "extra").touch()
        case "drop":
            (folder / "sub" / "more.txt").unlink()
        case "rename":
            (folder / "config.json").rename(folder / "config2.json")
        case "resign":
            signature = folder / "model.sig"
            document = json.loads(signature.read_bytes())
            (first,) = document["dsseEnvelope"]["signatures"]
            first["sig"] = "A" + first["sig"][1:]
            signature.write_text(json.dumps(document))
    assert report(folder, stock[1]).verdict is Verdict.FAIL


def test_what_model_sig_never_covers_is_named(stock: tuple[Path, Verifier], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stock[0], tmp_path / "copy"))
    (folder / ".gitattributes").write_text("* text\n")
    found = {check.subject: check.verdict for check in report(folder, stock[1]).checks}
    assert found[".gitattributes"] is Verdict.UNKNOWN


def test_a_release_robbed_of_its_attestations_is_no_bare_directory(copy: Path, verifier: Verifier) -> None:
    shutil.rmtree(copy / "attestations")
    shutil.rmtree(copy / "provenance")
    assert report(copy, verifier).verdict is Verdict.FAIL
