"""Step 5: from the weights back to the data, on the ground of verified statements and of bytes that are as signed."""

from __future__ import annotations

from collections.abc import Iterator

from registry.provenance import lineage
from registry.records import layout
from registry.report import Check, Step, Verdict, ask
from registry.verification.case import BARE, Case, short


def checks(case: Case) -> Iterator[Check]:
    """An answer for each link of the lineage, and for each document; one UNKNOWN where there is no ground to start."""
    path = layout.attestation("provenance")
    if path not in case.verified:
        words = BARE if case.bare else "no verified provenance statement to start from"
        yield Check(Step.LINEAGE, Verdict.UNKNOWN, path, words)
        return
    if case.altered:
        words = "files are not as signed (step 2), so records say nothing of them"
        yield Check(Step.LINEAGE, Verdict.UNKNOWN, path, words)
        return
    statements = {short(path): verified.statement for path, verified in case.verified.items()}
    yield from lineage.checks(case.root, statements, case.sha256)
    if any(path in case.sha256 for path in layout.DOCUMENTS):
        from registry.openness.documents import agreement  # which takes as long to load as small files to verify

        yield from agreement.checks(case.root, case.sha256)
    if any(path.startswith(f"{layout.RESULTS}/") for path in case.sha256):
        from registry.openness.documents import figures

        yield from figures.checks(case.root, case.sha256)
    if layout.OPENNESS in case.found:
        from registry.openness import statement as openness

        yield ask(Step.LINEAGE, "openness <- its evidence", lambda: openness.check_record(case.shown))
