"""Releases of every format, signed in every way, verify for ever."""

from __future__ import annotations

import json

import pytest

from registry.report import Verdict
from tests.goldens.make_releases import Golden, found, goldens

WAYS = {"key", "key-stamped", "certificate", "certificate-stamped", "sigstore-rekor1", "sigstore-rekor2-stamped"}


def test_there_is_a_release_of_each_way_of_signing() -> None:
    assert {golden.name for golden in goldens()} >= {f"v1/{way}" for way in WAYS | {"trained"}}


@pytest.mark.parametrize("golden", goldens(), ids=lambda golden: golden.name)
def test_a_golden_release_verifies_as_it_did(golden: Golden) -> None:
    with golden.unpacked() as root:
        report = golden.verified(root)
    assert report.verdict is Verdict.PASS
    assert found(report) == json.loads(golden.report_path.read_bytes())


@pytest.mark.parametrize("golden", goldens(), ids=lambda golden: golden.name)
def test_a_golden_release_with_one_byte_changed_does_not(golden: Golden) -> None:
    with golden.unpacked() as root:
        weights = root / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")
        assert golden.verified(root).verdict is Verdict.FAIL
