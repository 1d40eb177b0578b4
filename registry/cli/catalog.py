"""`glasshouse release list`, `show`, `diff` and `log`: which releases there are, and how they differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli import output
from registry.cli.signing import grouped
from registry.cli.verify import Endpoint, Verifying

if TYPE_CHECKING:
    from registry.catalog.entry import ReleaseEntry, Whom
    from registry.catalog.shelves import ReleaseShelf

Where = Annotated[
    str, typer.Argument(metavar="WHERE", help="hf://OWNER, hf://OWNER/NAME, hf:// (all of a Hub), or a folder.")
]
Reference = Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, or a directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
LIST_EXAMPLE = "Example: glasshouse release list hf://org --identity ci@example.org --issuer https://issuer.example"
SHOW_EXAMPLE = "Example: glasshouse release show hf://org/model@v1.0.0"
DIFF_EXAMPLE = "Example: glasshouse release diff hf://org/model@v1.0.0 hf://org/model@v1.1.0 --weights"
LOG_EXAMPLE = "Example: glasshouse release log hf://org/model"


def whom_of(trust: Verifying) -> Whom:
    """Whose signatures the options expect, and the root of trust to tell signers by."""
    from registry.attest.verifier import Trust
    from registry.catalog.entry import Whom
    from registry.verification.memory import Memory

    if trust.named:
        verifier = trust.verifier()
        return Whom(verifier.trust, verifier, Memory.here())
    return Whom(Trust(trust.trust_config or trust.trusted_root))


def _read(found: list[ReleaseShelf], whom: Whom) -> Iterator[tuple[ReleaseShelf, ReleaseEntry | str]]:
    """Each release, or why it cannot be read."""
    from registry.catalog import entry
    from registry.catalog.shelves import said
    from registry.errors import GlasshouseError
    from registry.hub.client import in_parallel

    def look(shelf: ReleaseShelf) -> ReleaseEntry | str:
        try:
            return entry.read(shelf, whom)
        except GlasshouseError as problem:
            return said(problem)

    return zip(found, in_parallel(look, found), strict=True)


@grouped
def list_releases(where: Where, trust: Verifying, endpoint: Endpoint = None, as_json: Json = False) -> None:
    """List the releases on a Hub or in a folder, with who signed each.

    With a signer to expect it also says whether each stands. Nothing else is verified: glasshouse verify looks at
    every byte.
    """
    from registry.catalog.shelves import find_all

    rows: list[dict[str, Any]] = []
    for shelf, read in _read(find_all(where, endpoint=endpoint), whom_of(trust)):
        if isinstance(read, str):
            rows.append({"reference": str(shelf.reference), "problem": read})
            continue
        standing = dict(zip(("verdict", "words"), read.standing, strict=True)) if trust.named else None
        rows.append({**read.as_json(), "standing": standing, **_recorded(read)})
    if as_json:
        output.data({"releases": rows})
        return
    if not rows:
        output.say(f"there is no release in {where}")
    output.rows(_row(row) for row in rows)


def _recorded(entry: ReleaseEntry) -> dict[str, Any]:
    """What the release's record says; nothing where it cannot be read."""
    from registry.errors import GlasshouseError

    try:
        record = entry.record
    except GlasshouseError as problem:
        return {"problem": problem.message}
    return {"license": record.license, "parameters": record.parameters, "committedAt": record.source.committed_at}


def _row(row: dict[str, Any]) -> list[str]:
    if "signature" not in row:
        return [row["reference"], "UNKNOWN", "", row["problem"]]
    at = row["signature"]["at"] or row.get("committedAt") or ""
    standing = f"; {row['standing']['words']}" if row["standing"] else ""
    verdict = str(max(("PASS", row["signature"]["verdict"], (row["standing"] or row["signature"])["verdict"]),
                      key=("PASS", "UNKNOWN", "FAIL").index))  # fmt: skip
    about = ", ".join(filter(None, (row.get("license"), _millions(row.get("parameters")), row.get("problem"))))
    return [row["reference"], verdict, at[:10], f"{about}; {row['signature']['words']}{standing}"]


def _millions(count: int | None) -> str | None:
    return None if count is None else f"{count / 1e6:,.2f} M parameters" if count >= 10_000 else f"{count} parameters"


@grouped
def show(reference: Reference, trust: Verifying, endpoint: Endpoint = None, as_json: Json = False) -> None:
    """Show what one release says of itself, and who signed that."""
    from registry.catalog import entry
    from registry.catalog.shelves import find

    found = entry.read(find(reference, endpoint=endpoint), whom_of(trust))
    record = found.record
    facts = {
        **found.as_json(),
        "record": record.as_json(),
        "attestations": [row.as_json() for row in found.release.attestations],
        "standing": dict(zip(("verdict", "words"), found.standing, strict=True)),
    }
    if as_json:
        output.data(facts)
        return
    source = record.source
    output.rows(
        [
            ("release", f"{found.name}, {len(found.release.files)} files, {facts['bytes']:,} bytes"),
            ("signed by", found.signature.words),
            ("stands", found.standing[1]),
            ("license", record.license),
            ("code", f"{source.remote or 'a repository that nobody else can fetch'} at {source.commit}"),
            *(("weights", f"{each.path}  sha256:{each.sha256}") for each in record.weights),
            *(("beside it", f"{each.repo}, {each.files} files, {each.size:,} bytes") for each in record.companions),
            ("statements", ", ".join(_short(row.name) for row in found.release.attestations)),
            ("verify it", _command(reference, found)),
        ]
    )


def _short(name: str) -> str:
    from registry.verification.case import short

    return short(name)


def _command(reference: str, entry: ReleaseEntry) -> str:
    """How to verify it, with the signer whom the statement shows, where that can be said in one line."""
    from registry.attest.signature import SignedByIdentity

    signer = entry.signature.verified.signer if entry.signature.verified else None
    if isinstance(signer, SignedByIdentity):
        return f"glasshouse verify {reference} --identity {signer.identity} --issuer {signer.issuer}"
    return f"glasshouse verify {reference} --policy policy.yaml (glasshouse trust pin writes one)"


@grouped
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="hf://org/model@v1.0.0, or a directory.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other release.")],
    trust: Verifying,
    weights: Annotated[
        bool, typer.Option("--weights", help="Fetch the weights of releases on a Hub, and compare each tensor.")
    ] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Compare two releases: documents, settings, code, packages, metrics, files, and weights by tensor.

    Ends in 0 whether or not they differ, and in 3 where something could not be compared.
    """
    from contextlib import ExitStack

    from registry.catalog import differences, entry
    from registry.catalog import weights as tensors
    from registry.catalog.shelves import find, whole
    from registry.report import Verdict

    whom = whom_of(trust)
    before, after = (entry.read(find(each, endpoint=endpoint), whom) for each in (first, second))
    sides = (before, after)
    with ExitStack() as stack:
        roots = [stack.enter_context(whole(each.shelf, endpoint=endpoint, download=weights)) for each in sides]
        found = [*differences.compare(before, after), *tensors.compare(before, after, roots)]
    if as_json:
        releases = [each.as_json() for each in sides]
        output.data({"releases": releases, "differences": [each.as_json() for each in found]})
    else:
        for each in sides:
            output.say(f"{each.shelf.reference}: {each.signature.verdict}, {each.signature.words}")
        _told(found)
    if any(each.kind == "unknown" for each in found):
        raise typer.Exit(Verdict.UNKNOWN.exit_code)


def _told(found: list[Any]) -> None:
    """Each difference, under the name of its part."""
    part = ""
    for each in found:
        if each.part != part:
            part = each.part
            print(part)
        print(output.printable(f"  {each}"))
    if not found:
        print("they do not differ")


@grouped
def log(where: Where, trust: Verifying, endpoint: Endpoint = None, as_json: Json = False) -> None:
    """Show the signed history of releases: when each was made, what was said of its status, who audited it."""
    from registry.catalog import history
    from registry.catalog.shelves import find_all

    found, problems = [], []
    for shelf, read in _read(find_all(where, endpoint=endpoint), whom_of(trust)):
        if isinstance(read, str):
            problems.append({"reference": str(shelf.reference), "problem": read})
        else:
            found.append(read)
    events = history.events(found)
    if as_json:
        output.data({"events": [event.as_json() for event in events], "unread": problems})
        return
    output.rows(
        (
            f"{event.at:%Y-%m-%d}{'' if event.shown else '?'}" if event.at else "undated",
            str(history.verdict(event)),
            event.release,
            event.what,
            f"{event.words}; {event.signature.words if event.signature else 'nobody'}",
        )
        for event in events
    )
    for each in problems:
        output.say(f"{each['reference']}: {each['problem']}")
