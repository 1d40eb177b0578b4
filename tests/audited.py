"""Releases to be audited by a benchmark: built, signed, verified, and their source opened in a folder."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.verifier import Verifier
from registry.audit import challenge, view, workshop
from registry.audit.checkpoint_sources import InFolder, Shelf
from registry.audit.data import Data
from registry.audit.packages import Setup
from registry.audit.segments import SOONEST, Effort, Segments
from registry.audit.subject import Audited, admit
from registry.audit.workshop import Options, Workshop
from registry.hub.reference import DirectoryReference
from registry.verification.steps import verify
from tests.conftest import MAINTAINER, Project
from tests.forging import CHECKPOINTS
from tests.hub_instance import HubInstance
from tests.sigstore_instance import SigstoreInstance

QUIET = {"GLASSHOUSE_TRACKING": "off"}
WALLED = pytest.mark.skipif(view.fault() is not None, reason=view.fault() or "")
"""For tests of audits that speak for a release: without the wall none does."""
RELEASE = Path("releases/small/v1.0.0")


@dataclass(frozen=True, slots=True)
class Bench:
    """A scratch folder, with a Sigstore and a Hub that run until the end of the block."""

    folder: Path
    sigstore: SigstoreInstance
    hub: HubInstance

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Bench]:
        """Start both."""
        with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
            folder = Path(name)
            with SigstoreInstance.start(folder / "sigstore") as sigstore, HubInstance.start(folder / "hub") as hub:
                yield cls(folder, sigstore, hub)

    @property
    def trust(self) -> tuple[str, ...]:
        """Options that name the Sigstore."""
        return ("--trust-config", str(self.sigstore.trust_config_path))

    def build(self, project: Project) -> None:
        """Run the pipeline, and commit its lock."""
        project.run("dvc", "repro", variables=QUIET)
        project.commit("Lock what dvc repro built")

    def sign(self, project: Project) -> Path:
        """Prepare and sign the first release of a project that is built. Gives its directory."""
        lent: Mapping[str, str] = self.hub.environment(self.folder / "huggingface")
        token = ("--identity-token", self.sigstore.token(MAINTAINER))
        project.run("glasshouse", "release", "prepare", variables=lent)
        project.run("glasshouse", "release", "sign", str(RELEASE), *self.trust, *token, variables=lent)
        return project.root / RELEASE

    def admit(self, release: Path) -> Audited:
        """The release, verified."""
        policy = Policy(signers=(SigstoreIdentity(identity=MAINTAINER, issuer=self.sigstore.issuer),))
        verifier = Verifier(policy, self.sigstore.trusted_root_path)
        return admit(release, verify(release, DirectoryReference(release), "a directory", verifier), verifier)

    def open(self, project: Project, audited: Audited, name: str, python: Path | None = None) -> Workshop:
        """A workshop in a new folder. python: the interpreter of the machine that audits; None: this one's."""
        folder = self.folder / name
        folder.mkdir()
        setup = Setup("current", str(python)) if python else Setup("current")
        return workshop.make(audited, Options(str(project.root), setup), folder)


def segments(data: Data, project: Project, name: str, chosen: tuple[int, ...], effort: Effort = SOONEST) -> Segments:
    """Those segments, to be trained in a folder of their own below the workshop's."""
    place = data.place
    scratch = place.scratch / name
    scratch.mkdir()
    beside = dataclasses.replace(place, sandbox=dataclasses.replace(place.sandbox, scratch=scratch))
    asked = challenge.draw(place.audited.chain, place.audited.logged_at, segment=chosen[0])
    asked = asked.model_copy(update={"chosen": chosen})
    shelf = Shelf((InFolder(project.root / CHECKPOINTS),), scratch / "fetched")
    return Segments(dataclasses.replace(data, place=beside), asked, shelf, effort)
