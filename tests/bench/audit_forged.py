"""Four forged releases, each signed by its own maintainer: `verify` passes them, `audit replay` names the segment.

The forger trains properly, alters what the training left, brings every record, DVC's lock and the draft into line, and
signs. So signatures, digests, lineage and links of the chain all hold, and only an audit can tell.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import forging
from tests.audited import QUIET, Bench
from tests.conftest import MAINTAINER, Project, new_project

SEGMENTS = 6
"""Of the small release: steps 0, 1, 2, 3, 6, 9, 10."""
TEXT = "texts/999.txt"


@dataclass(frozen=True, slots=True)
class Forgery:
    """A lie.  forge: told build/train of the release and of a training that saw one document more.  named: by what."""

    words: str
    forge: Callable[[Path, Path], object]
    named: str


FORGERIES = (
    Forgery("nothing is forged", lambda train, other: None, ""),
    Forgery(
        "one checkpoint of other data",
        lambda train, other: forging.replace(train / "checkpoints", 6, other / "checkpoints"),
        "segment 3: step 3 to 6|segment 4 begins",
    ),
    Forgery(
        "optimizer state altered",
        lambda train, other: forging.alter(train / "checkpoints", 3),
        "segment 2: step 2 to 3",
    ),
    Forgery(
        "two checkpoints swapped", lambda train, other: forging.swap(train / "checkpoints", 3, 6), "segment 3 begins"
    ),
    Forgery("a document nobody was told of", forging.poison, "segment 0: step 0 to 1"),
)


def main() -> None:
    """Print a row for each forgery: what `verify` says, what `audit replay` says, and what it names."""
    with Bench.start() as bench:
        honest = new_project(bench.folder / "honest" / "project")
        bench.build(honest)
        poisoned = new_project(bench.folder / "poisoned" / "project")
        (poisoned.root / TEXT).write_text("A document that nobody was told of. " * 8)
        poisoned.run("dvc", "repro", "train", variables=QUIET)
        for number, forgery in enumerate(FORGERIES):
            root = bench.folder / f"release-{number}" / "project"
            shutil.copytree(honest.root, root, symlinks=True)
            project = Project(root, {**honest.environment, "PYTHONPATH": str(root), "HOME": str(root.parent)})
            row(bench, project, forgery, poisoned.root / "build/train")


def row(bench: Bench, project: Project, forgery: Forgery, other: Path) -> None:
    """Forge, release, verify, audit; then print what was found. Ends the benchmark where a lie goes unseen."""
    signer = ("--identity", MAINTAINER, "--issuer", bench.sigstore.issuer, *bench.trust)
    if forgery.named:
        forgery.forge(project.root / "build/train", other)
        forging.make_good(project.root / "build/train")
        project.run("python", "-m", "registry", "record", "--", "true", variables={"DVC_STAGE": "train"})
        project.run("dvc", "commit", "--force", "train", variables=QUIET)
        bench.build(project)
    release = str(bench.sign(project))
    verified = project.run("glasshouse", "verify", release, *signer, check=False)
    audited = project.run(
        "glasshouse", "audit", "replay", release, "--source", ".", "--environment", "current",
        "--segments", str(SEGMENTS), "--checkpoints", forging.CHECKPOINTS, *signer,
        check=False,
    )  # fmt: skip
    verdict = json.loads((project.root / "verdict.json").read_text())["statement"]["predicate"]
    found = re.search(f"(?:{forgery.named})[^;]*", verdict["reason"]) if forgery.named else None
    print(
        f"{forgery.words:30} verify {'PASS' if verified.returncode == 0 else verified.stdout}  "
        f"audit replay exit {audited.returncode} {verdict['verdict']:9} {found[0][:150] if found else ''}",
        flush=True,
    )
    if verified.returncode != 0 or audited.returncode != bool(forgery.named) or bool(found) != bool(forgery.named):
        raise SystemExit(f"{forgery.words}: {verdict['reason']}\n{audited.stdout}\n{audited.stderr}")


if __name__ == "__main__":
    main()
