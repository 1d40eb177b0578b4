"""model.sig: made by us, accepted by the stock tool, and refused by us wherever it leaves something out."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from registry.attest import oms
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Verifier
from registry.digest import sha256_bytes
from registry.errors import InputError, SignatureError, Unsupported
from tests.registry.attest.conftest import MAINTAINER, STATEMENT, write_key
from tests.registry.attest.test_statement import STATEMENTS, VALUES
from tests.sigstore_instance import ISSUER, SigstoreInstance

FILES = {
    "README.md": b"# A model\n",
    "model.safetensors": b"\x00" * 1000,
    "provenance/release.json": b"{}",
    "provenance-notes": b"sorts between",
    "provenance/model.sig": b"not the signature of the release",
    "deep/er/.gitignore": b"covered, for it is not at the root",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A directory of files, with those that git and the Hub add."""
    root = tmp_path / "release"
    for path, content in {**FILES, ".gitattributes": b"* text\n", "model.sig": b"an older one"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def test_it_covers_every_file_but_those_it_says(release: Path, signer: SigstoreSigner, verifier: Verifier) -> None:
    verified, covered = oms.verify(oms.sign(release, signer, name="org/model@v1"), verifier)
    assert covered.files == {path: sha256_bytes(content) for path, content in FILES.items()}
    assert verified.statement.subjects[0].name == "org/model@v1"


def test_hashing_loads_nothing_that_signs_and_leaves_the_library_whole(release: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from registry.attest import oms; oms.describe(Path(sys.argv[1]));"
        "print([name for name in ('model_signing.signing', 'sigstore', 'requests') if name in sys.modules]);"
        "import model_signing; print(model_signing.signing.Config, model_signing.verifying.Config)"
    )
    done = subprocess.run([sys.executable, "-c", code, release], capture_output=True, text=True, check=True)
    whole = (f"<class 'model_signing.{name}.Config'>" for name in ("signing", "verifying"))
    assert done.stdout.split("\n")[:2] == ["[]", " ".join(whole)]


@pytest.mark.parametrize("config", ["trust-config.json", "trust-config-rekor2.json"])
def test_the_stock_tool_accepts_it_and_sees_every_change(
    release: Path, instance: SigstoreInstance, config: str
) -> None:
    trust = instance.folder / config
    by_sigstore = ["sigstore", "--identity", MAINTAINER, "--identity_provider", ISSUER, "--trust_config", str(trust)]
    signer = SigstoreSigner(trust, identity_token=instance.token(MAINTAINER))
    (release / "model.sig").write_bytes(oms.sign(release, signer))
    assert _stock(release, by_sigstore) == (0, "Verification succeeded\n")
    (release / "extra").touch()
    assert _stock(release, by_sigstore)[0] == 1
    (release / "extra").unlink()
    (release / "model.safetensors").write_bytes(b"\x01" * 1000)
    assert _stock(release, by_sigstore)[0] == 1


def test_the_stock_tool_accepts_a_key_s_too(release: Path, private_key: Path, tmp_path: Path) -> None:
    signer = KeySigner(private_key)
    (tmp_path / "public.pem").write_text(signer.public_key.pem)
    (release / "model.sig").write_bytes(oms.sign(release, signer))
    assert _stock(release, ["key", "--public_key", str(tmp_path / "public.pem")]) == (0, "Verification succeeded\n")


def test_we_accept_what_the_stock_tool_signs(release: Path, private_key: Path, tmp_path: Path) -> None:
    signature = tmp_path / "model.sig"
    command = ["model_signing", "sign", "key", "--private_key", str(private_key), "--signature", str(signature)]
    (release / "model.sig").unlink()
    _run([*command, str(release)])
    trusting = Verifier(Policy(signers=(KeySigner(private_key).public_key,)))
    _, covered = oms.verify(signature.read_bytes(), trusting)
    assert covered.files == {path: sha256_bytes(content) for path, content in FILES.items()}


def test_sigstore_s_own_command_accepts_our_attestations(
    instance: SigstoreInstance, signer: SigstoreSigner, tmp_path: Path
) -> None:
    file, bundle = tmp_path / "model.safetensors", tmp_path / "claim.sigstore.json"
    file.write_bytes(b"weights")
    subject = Subject(file.name, sha256_bytes(b"weights"))
    bundle.write_bytes(signer.sign(Statement((subject,), STATEMENT.predicate_type, STATEMENT.predicate)))
    command = ["sigstore", "--trust-config", str(instance.trust_config_path), "verify", "identity", "--offline"]
    options = ["--bundle", str(bundle), "--cert-identity", MAINTAINER, "--cert-oidc-issuer", ISSUER, str(file)]
    assert _run([*command, *options], tmp_path)[0] == 0
    file.write_bytes(b"other weights")
    assert _run([*command, *options], tmp_path)[0] != 0


def test_an_empty_directory_and_links_are_refused(tmp_path: Path, private_key: Path) -> None:
    root = tmp_path / "release"
    root.mkdir()
    signer = KeySigner(private_key)
    with pytest.raises(InputError, match="nothing to sign"):
        oms.sign(root, signer)
    (root / "link").symlink_to(private_key)
    with pytest.raises(InputError, match="link"):
        oms.sign(root, signer)


@pytest.mark.parametrize(
    "change",
    [
        {"serialization": {"method": "shards"}},
        {"serialization": {"hash_type": "blake2"}},
        {"serialization": {"allow_symlinks": True}},
        {"serialization": {"ignore_paths": ["model.sig", "model.safetensors"]}},
        {"serialization": {"ignore_paths": ["."]}},
        {"serialization": {"ignore_paths": "model.sig"}},
        {"serialization": {"shard_size": 1}},
        {"resources": []},
        {"resources": [{"name": "a", "algorithm": "sha256", "digest": "0" * 64}]},
    ],
)
def test_a_signature_that_leaves_something_out_is_refused(release: Path, change: dict[str, Any]) -> None:
    statement = oms.describe(release)
    predicate: dict[str, Any] = dict(statement.predicate)
    serialization = {**predicate["serialization"], **change.get("serialization", {})}
    predicate = {**predicate, **change, "serialization": serialization}
    with pytest.raises(SignatureError):
        oms.resources(Statement(statement.subjects, statement.predicate_type, predicate))


def _described(release: Path, **change: Any) -> Statement:
    statement = oms.describe(release)
    serialization = {**statement.predicate["serialization"], **change}
    return Statement(
        statement.subjects, statement.predicate_type, {**statement.predicate, "serialization": serialization}
    )


def test_what_another_tool_s_signer_leaves_out_is_told_and_what_cannot_be_meant_leaves_out_nothing(
    release: Path,
) -> None:
    odd = ["notes", "a/b/", ".", "", "/", "../x", "/etc", ".gitmodules", "model.sig", ".git"]
    covered = oms.covered(_described(release, ignore_paths=odd))
    assert covered.files == oms.resources(oms.describe(release))
    assert {path for path in ("notes", "notes/x/y", "a/b", "a/b/c", ".gitmodules") if covered.leaves_out(path)} == {
        "notes", "notes/x/y", "a/b", "a/b/c", ".gitmodules",
    }  # fmt: skip
    assert not any(map(covered.leaves_out, ("notes2", "a", "a/bc", "model.safetensors", "x", "etc", "sub/notes")))


def test_what_model_signing_wrote_before_1_0_1_is_not_supported_and_not_forged(release: Path, tmp_path: Path) -> None:
    old = Statement((Subject("a", "0" * 64),), oms.BEFORE_1_0, {})
    rows = [{"name": ".", "algorithm": "sha256", "digest": "0" * 64}]
    nameless = Statement(
        (Subject("a", hashlib.sha256(bytes(32)).hexdigest()),),
        oms.PREDICATE_TYPE,
        {"serialization": oms.METHOD, "resources": rows},
    )
    for statement in (old, nameless):
        with pytest.raises(Unsupported, match="not supported"):
            oms.covered(statement)
    signer, other = (KeySigner(write_key(tmp_path / name)) for name in ("one.pem", "other.pem"))
    trusting = Verifier(Policy(signers=(other.public_key,)))
    with pytest.raises(Unsupported, match=r"model_signing 0\.2"):
        oms.verified(signer.sign(old), trusting)  # its signature is over another encoding: nothing is known of it
    with pytest.raises(SignatureError):
        oms.verified(signer.sign(oms.describe(release)), trusting)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a//b", "a\\b", "C:/x", "e\u0301"])
def test_paths_that_leave_the_directory_are_refused(release: Path, name: str) -> None:
    statement = oms.describe(release)
    rows = [*statement.predicate["resources"], {"name": name, "algorithm": "sha256", "digest": "0" * 64}]
    digests = b"".join(bytes.fromhex(row["digest"]) for row in rows)
    root = Subject("release", hashlib.sha256(digests).hexdigest())
    changed = Statement((root,), oms.PREDICATE_TYPE, {**statement.predicate, "resources": rows})
    with pytest.raises(SignatureError, match="not allowed"):
        oms.resources(changed)


@given(STATEMENTS, VALUES, VALUES)
def test_nothing_but_signature_error_comes_of_other_statements(statement: Statement, one: Any, two: Any) -> None:
    for predicate in ({"serialization": one, "resources": two}, {"serialization": oms.METHOD, "resources": [one, two]}):
        with pytest.raises(SignatureError):
            oms.resources(Statement(statement.subjects, oms.PREDICATE_TYPE, predicate))
    with pytest.raises(SignatureError):
        oms.resources(statement)


def _stock(release: Path, method: Sequence[str]) -> tuple[int, str]:
    name, *options = method
    signature = ["--signature", str(release / "model.sig")]
    return _run(["model_signing", "verify", name, *signature, *options, str(release)])


def _run(command: Sequence[str], home: Path | None = None) -> tuple[int, str]:
    program, *arguments = command
    environment = {**os.environ, **({"XDG_DATA_HOME": str(home), "XDG_CACHE_HOME": str(home)} if home else {})}
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout
