"""Glasshouse behind the protocol of the OMS conformance suite: what the suite runs, once for each case.

    sign-model    registry.attest.oms.sign: there is no command that signs a bare directory
    verify-model  registry.attest.oms.verify, and its resources against the files; with GLASSHOUSE_BY_COMMAND=1
                  `glasshouse verify DIR` instead, whose bytes and signatures must both PASS, and nothing FAIL

What the suite asks for and Glasshouse has no option for: `--ignore-paths` is done as a person would do it, by a copy
without those paths; `--ignore-unsigned-files` by comparing no other files than those that the signature covers, which
the library leaves to its caller, and the command does not offer. GLASSHOUSE_TRUST_CONFIG names the Sigstore instance.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509

from registry import api
from registry.attest import oms, x509_path
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.verifier import Verifier
from registry.manifest import Manifest

NOT_OFFERED = 64


def main() -> int:
    """Sign or verify one model. 0 where that holds."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return (sign if asked.command == "sign-model" else verify)(asked, Path(scratch))
        except api.GlasshouseError as problem:
            print(f"{type(problem).__name__}: {problem.message} ({problem.mend})", file=sys.stderr)
            return 1


def sign(asked: argparse.Namespace, scratch: Path) -> int:
    """Sign the model, and write the bundle."""
    folder = staged(asked.model_path, [*asked.ignore_paths, str(asked.output_bundle)], scratch / "model")
    asked.output_bundle.write_bytes(oms.sign(folder, _signer(asked, scratch)))
    return 0


def verify(asked: argparse.Namespace, scratch: Path) -> int:
    """Verify the model by the bundle."""
    if asked.ignore_unsigned_files and os.environ.get("GLASSHOUSE_BY_COMMAND"):
        print("not offered: --ignore-unsigned-files", file=sys.stderr)
        return NOT_OFFERED
    folder = staged(asked.model_path, [*asked.ignore_paths, str(asked.bundle)], scratch / "model")
    config = _config() if asked.method == "sigstore" else None
    if os.environ.get("GLASSHOUSE_BY_COMMAND"):
        return by_command(folder, asked.bundle, _expected(asked), config, scratch)
    return by_library(folder, asked.bundle, _expected(asked), config, unsigned=asked.ignore_unsigned_files)


def staged(model: Path, without: list[str], into: Path) -> Path:
    """A copy of `model` without those paths; of a file alone, a folder that holds it."""
    gone = {Path(path).resolve() for path in without}
    if model.is_file():
        into.mkdir()
        shutil.copy2(model, into / model.name)
        return into

    def ignore(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(folder).resolve() / name) in gone]

    shutil.copytree(model, into, symlinks=True, ignore=ignore)
    return into


def by_library(folder: Path, bundle: Path, signer: dict[str, Any], config: Path | None, *, unsigned: bool) -> int:
    """The signature holds, and the files are those that it covers.  unsigned: whatever else may be there, too."""
    _, signed = oms.verify(bundle.read_bytes(), Verifier(api.Policy.of({"signers": [signer]}), config))
    found = {entry.path: entry.sha256 for entry in Manifest.of_directory(folder).entries}
    found = {
        path: digest
        for path, digest in found.items()
        if path in signed.files or not (unsigned or path.split("/")[0] in oms.IGNORED or signed.leaves_out(path))
    }
    if found != signed.files:
        print(f"the files differ: {sorted(set(found.items()) ^ set(signed.files.items()))}", file=sys.stderr)
    return int(found != signed.files)


def by_command(folder: Path, bundle: Path, signer: dict[str, Any], config: Path | None, scratch: Path) -> int:
    """The command finds that bytes and signature hold, and nothing that speaks against them."""
    shutil.copy2(bundle, folder / "model.sig")
    policy = scratch / "policy.json"
    policy.write_text(json.dumps({"schema": "glasshouse.policy/v1", "signers": [signer]}))
    command = [str(Path(sys.executable).parent / "glasshouse"), "verify", str(folder), "--json"]
    command += ["--policy", str(policy), *(["--trust-config", str(config)] if config else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    if done.returncode not in (0, 3) or "checks" not in done.stdout:
        return done.returncode or 1
    good = {check["name"] for check in json.loads(done.stdout)["checks"] if check["verdict"] == "PASS"}
    return int(not {"bytes", "signatures"} <= good)


def _signer(asked: argparse.Namespace, scratch: Path) -> api.Signer:
    match asked.method:
        case "key":
            return api.KeySigner(asked.private_key)
        case "certificate":
            own = asked.signing_cert.read_bytes()
            further = [path for path in asked.cert_chain if path.read_bytes() != own]
            chain = scratch / "chain.pem"
            chain.write_bytes(b"".join(path.read_bytes() for path in further))
            return api.CertificateSigner(asked.private_key, asked.signing_cert, chain if further else None)
    return api.SigstoreSigner(_config(), identity_token=asked.identity_token)


def _expected(asked: argparse.Namespace) -> dict[str, Any]:
    """Who must have signed, as a policy says it."""
    match asked.method:
        case "key":
            return {"kind": "key", "pem": asked.public_key.read_text()}
        case "certificate":
            roots = "".join(path.read_text() for path in asked.cert_chain)
            return {"kind": "certificate", "identity": _holder(asked.bundle), "authorities": roots}
    return {"kind": "identity", "identity": asked.identity, "issuer": asked.identity_provider}


def _holder(bundle: Path) -> str:
    """Whom the bundle's certificate names: the suite expects any holder that the authority certified."""
    try:
        material = Bundle.parse(bundle.read_bytes(), max_bytes=MAX_MODEL_BYTES).material
        row = material["x509CertificateChain"]["certificates"][0]
        return x509_path.identity(x509.load_der_x509_certificate(base64.b64decode(row["rawBytes"])))
    except (api.GlasshouseError, LookupError, TypeError, *x509_path.UNREADABLE):
        return "anybody@example.org"  # what is wrong with it is for the verifier to say


def _config() -> Path | None:
    config = os.environ.get("GLASSHOUSE_TRUST_CONFIG")
    return Path(config) if config else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("sign-model", "verify-model"):
        one = commands.add_parser(name)
        one.add_argument("--method", required=True)
        one.add_argument("--model-path", type=Path, required=True)
        one.add_argument("--output-bundle" if name == "sign-model" else "--bundle", type=Path, required=True)
        for option in ("--private-key", "--signing-cert", "--public-key"):
            one.add_argument(option, type=Path)
        one.add_argument("--cert-chain", type=Path, action="append", default=[])
        one.add_argument("--ignore-paths", action="append", default=[])
        one.add_argument("--ignore-unsigned-files", action="store_true")
        for option in ("--identity", "--identity-provider", "--identity-token"):
            one.add_argument(option)
        one.add_argument("--use-staging", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
