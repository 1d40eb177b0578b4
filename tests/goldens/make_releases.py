"""Make the releases in releases/vN/ anew: python -m tests.goldens.make_releases

Only for a new format of releases. The old ones stay beside the new: what was once signed must verify for ever.
Where a verdict on an old one changes on purpose, `python -m tests.goldens.make_releases --reports` writes the reports
anew, and the commit says which changed and why.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.signature import Signer
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Verifier
from registry.files import write_atomic
from registry.hub.reference import DirectoryReference
from registry.records import layout
from registry.records.release_record import StatedLicences
from registry.release.signing import sign
from registry.report import Report
from registry.verification.steps import verify
from tests import synthetic_release
from tests.authority import SIGNER, Authority, StandingClock, root_pem
from tests.conftest import MAINTAINER, new_project
from tests.registry.attest.conftest import write_key
from tests.sigstore_instance import SigstoreInstance
from tests.sigstore_instance.tsa import TimestampAuthority

FOLDER = Path(__file__).parent / "releases"
VERSION = FOLDER / "v1"
SECOND = FOLDER / "v2"
TRUSTED_ROOT = "trusted-root.json"
FOR_EVER = datetime(2999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Golden:
    """A release in an archive, how it is to be verified, and what was found.

    archive: holds the release's files.  policy: who must have signed.  now: the time to judge by.
    """

    archive: Path
    policy: Policy
    now: datetime

    @property
    def name(self) -> str:
        """The version of its format, and how it is signed."""
        return f"{self.archive.parent.name}/{self.archive.name.removesuffix('.tar.gz')}"

    @property
    def report_path(self) -> Path:
        """Where stands what was found."""
        return self.archive.with_name(self.archive.name.replace(".tar.gz", ".report.json"))

    @property
    def how_path(self) -> Path:
        """Where stands how it is to be verified."""
        return self.archive.with_name(self.archive.name.replace(".tar.gz", ".how.json"))

    @property
    def trusted_root(self) -> Path:
        """The Sigstore that its signers used."""
        return self.archive.with_name(TRUSTED_ROOT)

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """A copy of the release, for as long as it is looked at."""
        with tempfile.TemporaryDirectory() as name, tarfile.open(self.archive) as archive:
            archive.extractall(name, filter="data")
            yield Path(name)

    def verified(self, root: Path) -> Report:
        """The report on the copy at `root`."""
        verifier = Verifier(self.policy, self.trusted_root)
        return verify(root, DirectoryReference(root), "a golden release", verifier, now=self.now)


def goldens() -> list[Golden]:
    """Every golden release of every version."""
    found = []
    for path in sorted(FOLDER.glob("v*/*.how.json")):
        how = json.loads(path.read_bytes())
        archive = path.with_name(path.name.replace(".how.json", ".tar.gz"))
        policy = Policy.of(how["policy"], name=path.name)
        found.append(Golden(archive, policy, datetime.fromisoformat(how["now"])))
    return found


def found(report: Report) -> list[list[str | int]]:
    """What a report says, without the words: what may be reworded is no verdict."""
    root = report.subject
    return [[check.step, check.subject.replace(root, "REF"), str(check.verdict)] for check in report.checks]


def main() -> None:
    """Sign a synthetic release in six ways, one that the pipeline made, an open one, one whose rows stand in a table
    (with `--table` that alone); keep what verifying needs."""
    if not {"--reports", "--table"} & set(sys.argv):
        _make()
    if "--reports" not in sys.argv:
        _make_table()
    for golden in goldens():
        with golden.unpacked() as root:
            rows = ",\n".join(json.dumps(row) for row in found(golden.verified(root)))
            write_atomic(golden.report_path, f"[\n{rows}\n]\n".encode())


def _make() -> None:
    shutil.rmtree(VERSION, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name, SigstoreInstance.start(Path(name) / "sigstore") as instance:
        scratch = Path(name)
        private = write_key(scratch / "private.pem")
        site, clock = Authority(scratch / "site"), TimestampAuthority(scratch / "tsa")
        holder, stampers = site.issue(), {"timestampAuthorities": root_pem(clock)}
        one, two = (
            SigstoreSigner(config, identity_token=instance.token(MAINTAINER))
            for config in (instance.trust_config_path, instance.trust_config_rekor2_path)
        )
        write_atomic(VERSION / TRUSTED_ROOT, instance.trusted_root_path.read_bytes())
        key = {"kind": "key", "pem": KeySigner(private).public_key.pem}
        certificate = {"kind": "certificate", "identity": SIGNER, "authorities": site.pem}
        identity = {"kind": "identity", "identity": MAINTAINER, "issuer": instance.issuer}
        synthetic_release.write(scratch / "synthetic", weights_bytes=512)
        ways: dict[str, tuple[Signer, dict[str, Any], datetime]] = {
            "key": (KeySigner(private), key, FOR_EVER),
            "key-stamped": (KeySigner(private, StandingClock(clock)), key | stampers, FOR_EVER),
            "certificate": (holder.signer, certificate, holder.own.not_valid_after_utc - timedelta(days=1)),
            "certificate-stamped": (holder.stamped(StandingClock(clock)), certificate | stampers, FOR_EVER),
            "sigstore-rekor1": (one, identity, FOR_EVER),
            "sigstore-rekor2-stamped": (two, identity, FOR_EVER),
        }
        for way, (signer, rule, now) in ways.items():
            shutil.copytree(scratch / "synthetic", scratch / way)
            _keep(way, scratch / way, signer, rule, now)
        _keep("trained", _trained(scratch), one, identity, FOR_EVER)
        _keep_open(scratch)


def _keep_open(scratch: Path) -> None:
    """A release that is of class II by version 1 of the rules of openness, and a policy that asks for it."""
    signer = KeySigner(write_key(scratch / "open.pem"))
    stated = StatedLicences(code="Apache-2.0", data="CC0-1.0", documents="CC-BY-4.0")
    synthetic_release.write(scratch / "open", weights_bytes=512, opened=stated)
    _keep("open", scratch / "open", signer, {"kind": "key", "pem": signer.public_key.pem}, FOR_EVER, openness="II")


def _make_table() -> None:
    shutil.rmtree(SECOND, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "release"
        signer = KeySigner(write_key(Path(name) / "key.pem"))
        counts = b"%d\n" % synthetic_release.TOKENS * synthetic_release.DOCUMENTS
        synthetic_release.write(folder, weights_bytes=512, form="parquet", extra={layout.TOKEN_COUNTS: counts})
        write_atomic(SECOND / TRUSTED_ROOT, (VERSION / TRUSTED_ROOT).read_bytes())
        _keep("table", folder, signer, {"kind": "key", "pem": signer.public_key.pem}, FOR_EVER, SECOND)


def _trained(scratch: Path) -> Path:
    """A release, unsigned, as the pipeline of today makes it."""
    project = new_project(scratch / "trained" / "project")
    project.run("dvc", "repro")
    project.commit("Lock what dvc repro built")
    (scratch / "none").mkdir()
    hub = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    code = (
        "from pathlib import Path\n"
        "from registry.release import config, preparing\n"
        "settings = config.load(Path('.'))\n"
        "print(preparing.prepare(Path('.'), settings, preparing.plan(Path('.'), settings, '1.0.0')))\n"
    )
    project.run("python", "-c", code, variables=hub)
    return project.root / "releases" / "small" / "v1.0.0"


def _keep(
    name: str,
    folder: Path,
    signer: Signer,
    rule: dict[str, Any],
    now: datetime,
    version: Path = VERSION,
    **asked: str,
) -> None:
    """Sign the release in `folder`; keep it, and how it is verified."""
    sign(folder, signer)
    how = {"policy": {"signers": [rule], **asked}, "now": now.isoformat()}
    write_atomic(version / f"{name}.how.json", json.dumps(how, indent=1).encode() + b"\n")
    with tarfile.open(version / f"{name}.tar.gz", "w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.add(path, path.relative_to(folder).as_posix(), filter=_anybody)


def _anybody(row: tarfile.TarInfo) -> tarfile.TarInfo:
    row.uid = row.gid = row.mtime = 0
    row.uname = row.gname = ""
    row.mode = 0o644
    return row


if __name__ == "__main__":
    main()
