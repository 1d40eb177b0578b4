"""A directory that the stock `model_signing sign` signed: checked as far as it goes, and never called a release."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registry.attest import oms
from registry.attest.bundle import Bundle
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.statement import Statement
from registry.attest.verifier import Verifier
from registry.hub.reference import DirectoryReference
from registry.report import Report, Verdict
from registry.verification.steps import verify
from tests import synthetic_release
from tests.authority import SIGNER, Authority
from tests.registry.attest.conftest import MAINTAINER, write_key
from tests.sigstore_instance import SigstoreInstance

GLASSHOUSE = Path(sys.executable).parent / "glasshouse"


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Verifier]:
    """What the stock tool signs, and who must have signed it."""
    scratch = tmp_path_factory.mktemp("stock")
    folder = scratch / "model"
    (folder / "sub").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "sub/more.txt"):
        (folder / name).write_text('"text"')
    (folder / "model.safetensors").write_bytes(synthetic_release.safetensors({"a": b"123"}))
    key = write_key(scratch / "private.pem")
    tool = str(Path(sys.executable).parent / "model_signing")
    command = [tool, "sign", "key", str(folder), "--private_key", str(key), "--signature", str(folder / "model.sig")]
    subprocess.run(command, check=True, capture_output=True)
    public = KeySigner(key).public_key
    (scratch / "public.pem").write_text(public.pem)
    return folder, Verifier(Policy(signers=(public,)))


@pytest.mark.parametrize("way", ["sigstore", "certificate"])
def test_what_the_stock_tool_signs_in_other_ways_is_checked_as_far(
    sigstore: SigstoreInstance, tmp_path: Path, way: str
) -> None:
    folder, root = tmp_path / "model", str(sigstore.trusted_root_path)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    site = Authority(tmp_path / "site")
    holder = site.issue()
    files = ("--private_key", holder.key, "--signing_certificate", holder.certificate)
    token = sigstore.token(MAINTAINER)
    signing, expected = {
        "sigstore": (
            ("--identity_token", token, "--trust_config", sigstore.trust_config_path),
            ("--identity", MAINTAINER, "--issuer", sigstore.issuer, "--trusted-root", root),
        ),
        "certificate": (
            (*files, "--certificate_chain", holder.chain),
            ("--identity", SIGNER, "--ca", site.root_path),
        ),
    }[way]
    tool = (GLASSHOUSE.with_name("model_signing"), "sign", way, folder, "--signature", folder / "model.sig")
    subprocess.run([str(word) for word in (*tool, *signing)], check=True, capture_output=True)
    command = [str(word) for word in (GLASSHOUSE, "verify", folder, *expected, "--json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    verdicts = {check["name"]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 3 and (verdicts["bytes"], verdicts["signatures"]) == ("PASS", "PASS")
    assert {name for name, verdict in verdicts.items() if verdict != "PASS"} == {"complete", "lineage"}


@pytest.mark.parametrize("name", ["card", "stage-train", "release"])
def test_sigstore_s_own_command_verifies_the_attestations_of_a_release(
    release: Path, sigstore: SigstoreInstance, name: str
) -> None:
    bundle = release / f"attestations/{name}.sigstore.json"
    subject = Statement.parse(Bundle.parse(bundle.read_bytes()).envelope.payload).subjects[0].sha256
    command = [str(GLASSHOUSE.with_name("sigstore")), "--trust-config", str(sigstore.trust_config_path)]
    command += ["verify", "identity", "--offline", "--bundle", str(bundle), "--cert-oidc-issuer", sigstore.issuer]
    for digest, identity, code in ((subject, MAINTAINER, 0), ("0" * 64, MAINTAINER, 1), (subject, f"x{MAINTAINER}", 1)):
        asked = [*command, "--cert-identity", identity, f"sha256:{digest}"]
        assert subprocess.run(asked, capture_output=True, check=False).returncode == code


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


@pytest.fixture
def partly(tmp_path: Path) -> tuple[Path, Verifier]:
    """What the stock tool signs without some paths of the signer's choice."""
    folder, key = tmp_path / "partly", write_key(tmp_path / "partly.pem")
    (folder / "notes").mkdir(parents=True)
    for name in ("config.json", "scratch.txt", "notes/a.txt"):
        (folder / name).write_text('"text"')
    tool = str(Path(sys.executable).parent / "model_signing")
    command = [tool, "sign", "key", str(folder), "--private_key", str(key), "--signature", str(folder / "model.sig")]
    command += [word for name in ("scratch.txt", "notes") for word in ("--ignore-paths", str(folder / name))]
    subprocess.run(command, check=True, capture_output=True)
    return folder, Verifier(Policy(signers=(KeySigner(key).public_key,)))


def test_what_the_signer_chose_to_leave_out_is_unknown_and_nothing_else_is_left_out(
    partly: tuple[Path, Verifier],
) -> None:
    folder, verifier = partly

    def found() -> dict[tuple[str, str], Verdict]:
        result = report(folder, verifier)
        return {(check.name, check.subject): check.verdict for check in result.checks if check.name == "bytes"}

    whole = ("bytes", "every file that model.sig covers")
    assert found() == {
        ("bytes", "scratch.txt"): Verdict.UNKNOWN, ("bytes", "notes/a.txt"): Verdict.UNKNOWN, whole: Verdict.PASS,
    }  # fmt: skip
    (folder / "more.txt").write_text("nobody left it out")
    assert found()["bytes", "more.txt"] is Verdict.FAIL
    for name in ("more.txt", "scratch.txt", "notes/a.txt"):
        (folder / name).unlink()
    assert found() == {whole: Verdict.PASS}


def test_a_release_of_ours_leaves_nothing_out(partly: tuple[Path, Verifier], tmp_path: Path) -> None:
    """The same signature over a release: its own statement covers the files, and model.sig must as well."""
    release = tmp_path / "release"
    synthetic_release.write(release, weights_bytes=512)
    shutil.copy(partly[0] / "model.sig", release / "model.sig")
    reasons = [check.reason for check in report(release, partly[1]).checks if check.subject == "model.sig"]
    assert any("it leaves out" in reason for reason in reasons)


def test_a_signature_of_another_kind_is_unknown_and_not_forged(stock: tuple[Path, Verifier], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stock[0], tmp_path / "copy"))
    document = json.loads((folder / "model.sig").read_bytes())
    bare = {"messageDigest": {"algorithm": "SHA2_256", "digest": "AA=="}, "signature": "AA=="}
    for other in (
        {**document, "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"},
        {name: value for name, value in document.items() if name != "dsseEnvelope"} | {"messageSignature": bare},
    ):
        (folder / "model.sig").write_text(json.dumps(other))
        result = report(folder, stock[1])
        assert result.verdict is Verdict.UNKNOWN
        reasons = {check.name: check.reason for check in result.checks if check.subject == "model.sig"}
        assert "is not supported" in reasons["bytes"] and "is not supported" in reasons["signatures"]


def test_a_release_robbed_of_its_attestations_is_no_bare_directory(copy: Path, verifier: Verifier) -> None:
    shutil.rmtree(copy / "attestations")
    shutil.rmtree(copy / "provenance")
    assert report(copy, verifier).verdict is Verdict.FAIL


def test_a_file_of_an_unknown_format_is_told_and_stops_no_other_step(
    stock: tuple[Path, Verifier], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(stock[0], tmp_path / "model"))
    (folder / "model.bin").write_bytes(bytes(range(200)))
    found = {(check.name, check.subject): check.verdict for check in report(folder, stock[1]).checks}
    assert found["bounds", "model.bin"] is Verdict.UNKNOWN and found["signatures", "model.sig"] is Verdict.PASS
    assert found["bytes", "model.bin"] is Verdict.FAIL  # nobody signed it


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: str(curve.name))
def test_keys_of_the_other_curves_sign_for_the_stock_tool_and_by_it(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    """OpenSSF Model Signing 1.0, section 4.2: P-384 and P-521 must be supported."""
    private = write_key(tmp_path / "private.pem", curve=curve)
    signer, model, tool = KeySigner(private), tmp_path / "model", str(GLASSHOUSE.with_name("model_signing"))
    model.mkdir()
    (model / "config.json").write_text("{}")
    (tmp_path / "public.pem").write_text(signer.public_key.pem)
    (model / "model.sig").write_bytes(oms.sign(model, signer))
    ours, keys = (str(model / "model.sig"), ("--public_key", str(tmp_path / "public.pem")))
    subprocess.run([tool, "verify", "key", str(model), "--signature", ours, *keys], check=True, capture_output=True)
    sign = [tool, "sign", "key", str(model), "--private_key", str(private), "--signature", ours]
    subprocess.run(sign, check=True, capture_output=True)
    found = report(model, Verifier(Policy(signers=(signer.public_key,))))
    assert {check.verdict for check in found.checks if check.name in ("bytes", "signatures")} == {Verdict.PASS}
