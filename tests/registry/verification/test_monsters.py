"""What is enormous costs little: its bounds refuse it before it is built, and its listing before it is hashed.

Each case runs in a process of its own, whose peak of memory is looked at: generously, for machines differ.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.attest import oms
from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.hub.reference import DirectoryReference
from registry.records import layout
from registry.report import Report, Verdict
from registry.verification.steps import verify
from tests.goldens.make_releases import Golden, goldens
from tests.registry.attest.conftest import write_key

MOST = 1 << 30
"""Bytes of memory that no input may cost."""
SPARSE = 1 << 40
CHILD = """
import sys
from pathlib import Path
from tests.registry.verification.test_monsters import golden
report = golden().verified(Path(sys.argv[1]))
failed = [check.reason for check in report.checks if check.verdict == "FAIL" and check.subject == sys.argv[2]]
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # getrusage has the parent's, too
print(report.verdict, int(peak.split()[1]) * 1024, failed, sep="\\t")
"""


def golden() -> Golden:
    """A release that a key signed."""
    return next(golden for golden in goldens() if golden.name == "v1/key")


def _payload(change: Callable[[dict[str, Any]], bytes]) -> Callable[[bytes], bytes]:
    """Changes the statement in a bundle."""

    def changed(data: bytes) -> bytes:
        document = json.loads(data)
        statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
        document["dsseEnvelope"]["payload"] = base64.b64encode(change(statement)).decode()
        return json.dumps(document).encode()

    return changed


def _crowded(statement: dict[str, Any]) -> bytes:
    """The statement, with as many small objects in its predicate as a bundle can hold."""
    statement["predicate"] |= {"more": []}
    return json.dumps(statement).encode().replace(b'"more": []', b'"more": [' + b'{"a":0},' * (23 << 17) + b"0]")


def _bundle_crowded(data: bytes) -> bytes:
    """The bundle, as large as one can be, of small objects beside its envelope."""
    return data[:-1] + b',"more":[' + b'{"a":0},' * (31 << 17) + b"0]}"


@pytest.mark.parametrize("change", [_payload(_crowded), _bundle_crowded], ids=["statement", "bundle"])
@pytest.mark.parametrize("path", [layout.RELEASE_ATTESTATION, layout.SIGNATURE])
def test_millions_of_small_objects_are_refused_before_they_are_built(
    path: str, change: Callable[[bytes], bytes]
) -> None:
    with golden().unpacked() as root:
        data = change((root / path).read_bytes())
        assert 30 << 20 < len(data) <= MAX_MODEL_BYTES
        (root / path).write_bytes(data)
        command = [sys.executable, "-c", CHILD, str(root), path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    verdict, peak, why = done.stdout.strip().split("\t")
    assert verdict == "FAIL" and "it holds more" in why
    assert int(peak) < MOST // 2


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(SPARSE)


def _told(report: Report, path: str) -> list[str]:
    checks = [check for check in report.checks if check.name == "bytes" and check.subject == path]
    assert {check.verdict for check in checks} == {Verdict.FAIL}
    return [check.reason for check in checks]


def test_a_sparse_file_of_a_tebibyte_that_nothing_lists_is_not_hashed() -> None:
    with golden().unpacked() as root:
        _sparse(root / "more.txt")
        assert "unexpected" in str(_told(golden().verified(root), "more.txt"))


def test_nor_is_one_that_is_signed_as_a_small_one() -> None:
    with golden().unpacked() as root:
        _sparse(root / layout.WEIGHTS)
        assert f"found {SPARSE} bytes" in str(_told(golden().verified(root), layout.WEIGHTS))


def test_nor_is_one_in_a_directory_without_any_listing_of_ours(tmp_path: Path) -> None:
    model, signer = tmp_path / "model", KeySigner(write_key(tmp_path / "private.pem"))
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / layout.SIGNATURE).write_bytes(oms.sign(model, signer))
    _sparse(model / "more.txt")
    found = verify(model, DirectoryReference(model), "a directory", Verifier(Policy(signers=(signer.public_key,))))
    assert "unexpected" in str(_told(found, "more.txt"))
    (model / layout.SIGNATURE).unlink()
    found = verify(model, DirectoryReference(model), "a directory", Verifier(Policy(signers=(signer.public_key,))))
    assert "nothing says which files belong" in str(_told(found, layout.RELEASE_ATTESTATION))
