"""A release checked in the reader's browser: a throwaway Sigstore's signature, and files of the disk."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registry import api
from registry.records import layout
from registry.server.pages.answered import script
from tests import synthetic_release
from tests.conftest import ROOT
from tests.docs.browser import Browser
from tests.docs.conftest import browser
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key
from tests.registry.server.pages.conftest import files_of, write
from tests.sigstore_instance import ISSUER, SigstoreInstance

MAKER = "maintainer@example.org"
__all__ = ["browser"]


@dataclass(frozen=True)
class Checked:
    """A browser on the page of a release.  folder: the release on the reader's disk.  address: the page."""

    browser: Browser
    folder: Path
    address: str
    root: Path

    def ask(
        self, *files: Path, bundles: tuple[Path, ...] = (), identity: str = MAKER, root: bool = True,
        key: Path | None = None,
    ) -> dict[str, str]:  # fmt: skip
        """{what was checked: its verdict}, as the page says it. key: given in place of the identity."""
        self.browser.forget()
        self.browser.open(self.address)
        given = (("files", files), ("bundles", bundles), ("root", (self.root,) if root else ()),
                 ("key", (key,) if key else ()))  # fmt: skip
        for selector, chosen in given:
            if chosen:
                self.browser.choose(f"input[name={selector}]", *chosen)
        filled = {} if key else {"identity": identity, "issuer": ISSUER}
        for name, value in filled.items():
            self.browser.value(f"document.querySelector('[name={name}]').value = {json.dumps(value)}; 1")
        self.browser.value("""new Promise(done => {
            new MutationObserver((_, watch) => { watch.disconnect(); done(1); })
                .observe(document.getElementById("results"), {attributes: true, attributeFilter: ["data-done"]});
            document.querySelector("#check button").click();
        })""")
        here = self.address.split("/org/")[0]
        assert self.browser.complaints == [] and all(each.startswith(here) for each in self.browser.requested)
        rows = self.browser.value("[...document.querySelectorAll('#results li')].map(each => "
                                  "[each.dataset.subject, each.dataset.verdict])")  # fmt: skip
        return dict(rows)


@pytest.fixture(scope="module")
def checked(
    browser: Browser, sigstore: SigstoreInstance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checked]:
    folder = tmp_path_factory.mktemp("checked")
    release = folder / "release"
    synthetic_release.write(release, repo="org/model")
    api.sign(release, api.SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(MAKER)))
    with HubInstance.start(folder / "hub", organizations=("org",)) as hub:
        write(hub.root, "org/model", files_of(release), tag="v1.0.0")
        yield Checked(browser, release, f"{hub.url}/org/model/check/v1.0.0", sigstore.trusted_root_path)


def test_what_is_as_it_was_signed_passes(checked: Checked) -> None:
    weights = checked.folder / "model.safetensors"
    found = checked.ask(weights, checked.folder / "README.md")
    assert found.pop("model.safetensors") == found.pop("README.md") == "PASS"
    statements = {path.relative_to(checked.folder).as_posix() for path in (checked.folder / "attestations").iterdir()}
    assert found == dict.fromkeys(statements, "PASS") and len(found) > 3


def test_one_changed_byte_fails_and_what_is_not_listed_is_unknown(checked: Checked, tmp_path: Path) -> None:
    data = bytearray((checked.folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(data)
    (tmp_path / "stranger.bin").write_bytes(b"?")
    found = checked.ask(tmp_path / "model.safetensors", tmp_path / "stranger.bin")
    assert (found["model.safetensors"], found["stranger.bin"]) == ("FAIL", "UNKNOWN")
    assert found[layout.RELEASE_ATTESTATION] == "PASS"


@pytest.mark.parametrize("part", ["payload", "sig", "checkpoint", "integratedTime"])
def test_a_changed_bundle_fails_and_nothing_is_said_of_files(checked: Checked, tmp_path: Path, part: str) -> None:
    bundle = json.loads((checked.folder / layout.RELEASE_ATTESTATION).read_bytes())
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    match part:
        case "payload":
            text = bundle["dsseEnvelope"]["payload"]
            bundle["dsseEnvelope"]["payload"] = text[:100] + ("A" if text[100] != "A" else "B") + text[101:]
        case "sig":
            text = bundle["dsseEnvelope"]["signatures"][0]["sig"]
            bundle["dsseEnvelope"]["signatures"][0]["sig"] = text[:20] + ("A" if text[20] != "A" else "B") + text[21:]
        case "checkpoint":
            del entry["inclusionProof"]["checkpoint"]
        case _:
            entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)
    changed = tmp_path / "release.sigstore.json"
    changed.write_text(json.dumps(bundle))
    found = checked.ask(checked.folder / "README.md", bundles=(changed,))
    assert found == {layout.RELEASE_ATTESTATION: "FAIL"}


def test_another_signer_and_another_root_fail(checked: Checked) -> None:
    assert checked.ask(identity="other@example.org") == {layout.RELEASE_ATTESTATION: "FAIL"}
    assert checked.ask(root=False) == {layout.RELEASE_ATTESTATION: "FAIL"}
    assert "certificate chain" in checked.browser.value("document.getElementById('results').innerText")
    assert checked.ask(identity=" ") == {"signer": "UNKNOWN"}


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_what_a_key_signed_is_held_to_the_key_that_is_given(
    checked: Checked, tmp_path: Path, curve: ec.EllipticCurve
) -> None:
    signer = api.KeySigner(write_key(tmp_path / "private.pem", curve=curve))
    right, wrong, none = (tmp_path / name for name in ("right.pem", "wrong.pem", "none.pem"))
    right.write_text(signer.public_key.pem)
    wrong.write_text(api.KeySigner(write_key(tmp_path / "other.pem", curve=curve)).public_key.pem)
    none.write_text(signer.public_key.pem.replace("PUBLIC", "ANY"))
    release = tmp_path / "release"
    synthetic_release.write(release, repo="org/model")
    api.sign(release, signer)
    bundles = tuple(sorted((release / "attestations").iterdir()))
    found = checked.ask(release / "README.md", bundles=bundles, key=right)
    assert set(found.values()) == {"PASS"} and len(found) == len(bundles) + 1
    assert checked.ask(bundles=bundles, key=wrong) == {layout.RELEASE_ATTESTATION: "FAIL"}
    assert checked.ask(bundles=bundles, key=none) == {layout.RELEASE_ATTESTATION: "UNKNOWN"}
    assert checked.ask(bundles=bundles) == {layout.RELEASE_ATTESTATION: "UNKNOWN"}  # no key was given
    assert checked.ask(key=right) == {layout.RELEASE_ATTESTATION: "FAIL"}  # an identity signed that one
    (stated,) = (each for each in bundles if each.name == "release.sigstore.json")
    document = json.loads(stated.read_bytes())
    (signature,) = document["dsseEnvelope"]["signatures"]
    for broken in (b"", b"\x30\x00", b"\x30\x06\x02\x01\x01\x02\x01\x01", b"\x30\x81"):
        signature["sig"] = base64.b64encode(broken).decode()
        (tmp_path / "release.sigstore.json").write_text(json.dumps(document))
        forged = (tmp_path / "release.sigstore.json",)
        assert checked.ask(bundles=forged, key=right) == {layout.RELEASE_ATTESTATION: "FAIL"}


def test_the_page_says_which_program_it_runs(checked: Checked) -> None:
    address, text, digest = script()
    assert hashlib.sha256(text).hexdigest() == digest and digest[:16] in address
    assert checked.browser.value("document.body.textContent").count(digest) == 1


def test_the_lock_of_the_program_names_no_host_and_the_licences_are_whole() -> None:
    lock = json.loads((ROOT / "registry/server/pages/browser/package-lock.json").read_bytes())
    assert not any("resolved" in each for each in lock["packages"].values())
    assert all("integrity" in each for name, each in lock["packages"].items() if name)
    licences = (ROOT / "registry/server/pages/static/check.LICENSES.txt").read_text()
    bundled = ("@freedomofpress/crypto-browser", "@freedomofpress/sigstore-browser", "@noble/curves", "@noble/hashes")
    for name in bundled:
        assert f"{name} {lock['packages'][f'node_modules/{name}']['version']}\n" in licences
