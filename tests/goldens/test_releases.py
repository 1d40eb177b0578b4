"""Releases of every format, signed in every way, verify for ever."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import sigstore.models

from registry import strict_yaml
from registry.records import layout
from registry.report import Verdict
from tests.goldens.make_releases import Golden, found, goldens

WAYS = {"key", "key-stamped", "certificate", "certificate-stamped", "sigstore-rekor1", "sigstore-rekor2-stamped"}


def test_there_is_a_release_of_each_way_of_signing() -> None:
    assert {golden.name for golden in goldens()} >= {"v2/table", *(f"v1/{way}" for way in WAYS | {"open", "trained"})}


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


def test_what_many_steps_ask_for_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = next(golden for golden in goldens() if golden.name == "v1/trained")
    read: Counter[str] = Counter()

    def counted(parse: Any, name: str | None = None) -> Any:
        def call(*values: Any, **settings: Any) -> Any:
            read[name or settings["name"]] += 1
            return parse(*values, **settings)

        return call

    monkeypatch.setattr(strict_yaml, "parse", counted(strict_yaml.parse))
    trusted_root = sigstore.models.TrustedRoot
    monkeypatch.setattr(trusted_root, "from_file", counted(trusted_root.from_file, "the root of trust"))
    monkeypatch.setattr(sigstore.models.Bundle, "from_json", counted(sigstore.models.Bundle.from_json, "bundles"))
    with golden.unpacked() as root:
        assert golden.verified(root).verdict is Verdict.PASS
        bundles = len([*(root / layout.ATTESTATIONS).iterdir(), layout.SIGNATURE])
    assert read == {"dvc.lock": 1, "dvc.yaml": 1, "params.yaml": 1, "the root of trust": 1, "bundles": bundles}
