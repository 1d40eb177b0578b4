"""The signer that a card names is the one who signed, or the release is not published."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from registry.attest.policy import SigstoreIdentity
from registry.errors import Malformed, Refused
from registry.records import layout
from registry.release import self_check
from registry.release.signing import sign
from tests import synthetic_release
from tests.sudden_death import private_key

WHO, ISSUER = "maintainer@example.org", "https://issuer.example"
SECTION = f"release:\n  repo: glasshouse/synthetic\n  signer: {{identity: {WHO}, issuer: '{ISSUER}'}}\n"


def folder(tmp_path: Path, section: str) -> tuple[Path, KeySigner]:
    """A release whose params.yaml has that section, signed by a key, and the key."""
    root, signer = tmp_path / "release", KeySigner(private_key(tmp_path / "private.pem"))
    synthetic_release.write(root, extra={layout.PARAMS: section.encode()})
    sign(root, signer)
    return root, signer


def test_what_another_one_signed_is_refused(tmp_path: Path) -> None:
    root, signer = folder(tmp_path, SECTION)
    with pytest.raises(Refused, match=f"names {WHO} of {ISSUER} as its signer, and it was signed by a key"):
        self_check.report(root, signer)


def test_a_card_that_names_nobody_is_held_to_nobody(tmp_path: Path) -> None:
    root, signer = folder(tmp_path, "seed: 7\n")
    assert not any(check.verdict == "FAIL" for check in self_check.report(root, signer).checks)


@pytest.mark.parametrize(
    ("identity", "issuer", "refused"),
    [(WHO, ISSUER, False), ("a@example.org", ISSUER, True), (WHO, "https://b.example", True)],
)
def test_an_identity_is_held_to_its_name_and_its_issuer(
    tmp_path: Path, identity: str, issuer: str, refused: bool
) -> None:
    root, _ = folder(tmp_path, SECTION)
    rule = SigstoreIdentity(identity=identity, issuer=issuer)
    if refused:
        with pytest.raises(Refused, match=f"signed by {identity} of {issuer}"):
            self_check._hold_to_card(root, rule)
    else:
        self_check._hold_to_card(root, rule)


@pytest.mark.parametrize("identity", ["'a b'", "'`x`'", "'$(x)\"'", "''"])
def test_a_name_that_could_be_more_than_a_name_is_refused(tmp_path: Path, identity: str) -> None:
    with pytest.raises(Malformed, match=r"release\.signer\.identity"):
        synthetic_release.write(tmp_path / "release", extra={layout.PARAMS: SECTION.replace(WHO, identity).encode()})
