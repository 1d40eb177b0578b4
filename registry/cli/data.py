"""`glasshouse data`: what a model was trained on, document by document, and proofs of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli import output, signing, verify
from registry.cli.catalog import Json, Reference, whom_of
from registry.cli.tree import App

if TYPE_CHECKING:
    from registry.catalog.entry import ReleaseEntry
    from registry.catalog.tracing import SeenAt
    from registry.catalog.training_data import TrainingData
    from registry.records.data_row import Row

app = App(help="Ask what a model was trained on.", no_args_is_help=True)


@app.command(epilog="Example: glasshouse data prove texts/001.txt --manifest provenance > proof.json")
def prove(
    document: Annotated[str, typer.Argument(metavar="DOC", help="Its path as in the manifest, or its SHA-256.")],
    manifest: Annotated[
        Path, typer.Option("--manifest", help="The folder with data-manifest.json, and the rows beside it.")
    ],
) -> None:
    """Print a proof, as JSON, that a document is among the rows of a data manifest."""
    from registry.verification import inclusion

    output.data(inclusion.prove(manifest, document).as_json())


@app.command(epilog="Example: glasshouse data check proof.json --root RELEASE --key public.pem")
@signing.grouped
def check(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="What `glasshouse data prove` printed.")],
    root: Annotated[
        str, typer.Option("--root", help="The Merkle root in hex; or a release (hf:// or a directory) that signs it.")
    ],
    trust: verify.Verifying,
    endpoint: verify.Endpoint = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was proven as JSON.")] = False,
) -> None:
    """Check a proof against a root that you trust, or against the one that a release's signer stands for."""
    from registry.digest import is_sha256
    from registry.hub.reference import parse
    from registry.verification import inclusion

    found = inclusion.read(proof)
    if is_sha256(root):
        signed, rows = root, None
    else:
        verifier = trust.verifier()
        manifest = inclusion.signed_manifest(parse(root), verifier, endpoint=endpoint)
        signed, rows = manifest.root, manifest.rows
    inclusion.check(found, signed, rows)
    row, trained = found.row, _trained_on(found.row)
    if as_json:
        output.data({"root": signed, "rows": rows, "row": row.as_json(), "trainedOn": trained})
        return
    print(output.printable(f"{row.source}/{row.path} (sha256:{row.sha256}, {_licence(row)}, {row.use})"))
    if row.origin is not None:
        print(output.printable(f"from {row.place}"))
    print(f"is one of the {'' if rows is None else f'{rows} '}rows under the root {signed}")
    print(output.printable(f"and {_use(row)}"))


def _licence(row: Row) -> str:
    """Its licence, and how that is known."""
    return row.license if row.license_basis is None else f"{row.license} ({row.license_basis})"


def _trained_on(row: Row) -> bool | None:
    """Whether the row says that its text was trained on; None where another row decides, which has the same text."""
    return None if row.reason == "duplicate" else row.use == "train"


def _use(row: Row) -> str:
    """What the row says of training, to follow the document's name."""
    if row.reason == "duplicate":
        return "is listed as excluded (duplicate): this copy was not trained on; its text stands in another row, too"
    if row.cluster is not None:
        return f"is listed as excluded (near-duplicate): sha256:{row.cluster}, which is nearly alike, stands for it"
    if row.reason is not None:
        return f"is listed as excluded ({row.reason}): the model was not trained on it"
    if row.use == "validation":
        return "is kept from training, to measure by: the model was not trained on it"
    return "is listed as trained on"


Tokens = Annotated[
    Path | None,
    typer.Option("--tokens", help="The folder with tokens.json and its files, for a release without token counts."),
]


@contextmanager
def _reading(
    reference: str, trust: verify.Verifying, endpoint: str | None, tokens: Path | None
) -> Iterator[TrainingData]:
    """The data of the release that is named, as far as its records are those that were signed."""
    from registry.catalog import entry, training_data
    from registry.catalog.shelves import find

    with training_data.read(entry.read(find(reference, endpoint=endpoint), whom_of(trust)), tokens) as data:
        yield data


def _standing(*entries: ReleaseEntry) -> None:
    """Say who stands for each release, and end as that is: 0 where it is whom the reader expects, else 1 or 3."""
    from registry.catalog.training_data import vouched
    from registry.report import Verdict

    signatures = [vouched(each) for each in entries]
    for each, signature in zip(entries, signatures, strict=True):
        output.say(f"{each.shelf.reference}: {signature.verdict}, {signature.words}")
    verdicts = {signature.verdict for signature in signatures}
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN):
        if verdict in verdicts:
            raise typer.Exit(verdict.exit_code)


def _signed(entry: ReleaseEntry) -> dict[str, object]:
    """The release, and who stands for it, for a machine."""
    from registry.catalog.training_data import vouched

    return {**entry.as_json(), "signature": vouched(entry).as_json()}


@app.command(epilog="Example: glasshouse data trace hf://org/model@v1.0.0 --step 100 --key public.pem")
@signing.grouped
def trace(
    reference: Reference,
    trust: verify.Verifying,
    step: Annotated[int | None, typer.Option("--step", min=1, help="Which documents it saw at this step.")] = None,
    document: Annotated[
        str | None,
        typer.Option("--document", help="At which steps it saw this one: its path as in the manifest, or its SHA-256."),
    ] = None,
    tokens: Tokens = None,
    endpoint: verify.Endpoint = None,
    as_json: Json = False,
) -> None:
    """Tell which documents the model saw at a step; or at which steps it saw a document.

    Ends in 3 where nobody was named who would have signed the release: its records are then only what somebody says.
    """
    from registry.catalog import tracing
    from registry.errors import InputError

    if (step is None) == (document is None):
        raise InputError("a trace begins with a step or with a document", mend="give one of --step and --document")
    with _reading(reference, trust, endpoint, tokens) as data:
        if document is not None:
            at = tracing.of_document(data, document)
            answer = at.as_json()
            lines = [f"{at.row.source}/{at.row.path} (sha256:{at.row.sha256})", _seen(at)]
        else:
            rows = tracing.at_step(data, step or 0)
            answer = {"step": step, "rows": [row.as_json() for row in rows]}
            lines = [
                f"row {row.number}: {each.row.source}/{each.row.path} (sha256:{each.row.sha256}), "
                f"tokens {each.start} to {each.end - 1}"
                for row in rows
                for each in row.documents
            ]
        if as_json:
            output.data({"release": _signed(data.entry), **answer})
        else:
            for line in lines:
                print(output.printable(line))
        _standing(data.entry)


def _seen(at: SeenAt) -> str:
    """When a document is seen, in words."""
    if not at.steps:
        return (
            _use(at.row)
            if at.row.use != "train"
            else "was not seen: training ended before its turn, or its tokens do not fill a row"
        )
    steps = sorted(set(at.steps))
    shown = ", ".join(map(str, steps[:20])) + (f" and {len(steps) - 20} more" if len(steps) > 20 else "")
    return f"was seen at {len(steps)} steps: {shown}"


@app.command(epilog="Example: glasshouse data sources hf://org/model@v1.0.0 --key public.pem")
@signing.grouped
def sources(
    reference: Reference,
    trust: verify.Verifying,
    tokens: Tokens = None,
    endpoint: verify.Endpoint = None,
    as_json: Json = False,
) -> None:
    """List where the data came from, how others get it, under which licences: documents, bytes and tokens, used or not.

    Ends in 3 where nobody was named who would have signed the release.
    """
    from registry.catalog import data_sources

    with _reading(reference, trust, endpoint, tokens) as data:
        found = data_sources.shares(data)
        if as_json:
            output.data({"release": _signed(data.entry), **data_sources.as_json(data, found)})
        else:
            statuses = {each.id: each.status or "" for each in data.summary.sources}
            output.rows(
                (
                    source,
                    statuses.get(source, ""),
                    licence,
                    f"{use} ({reason})" if reason else use,
                    f"{share.documents:,} documents",
                    f"{share.size:,} bytes",
                    "" if share.tokens is None else f"{share.tokens:,} tokens",
                )
                for (source, licence, use, reason), share in found.items()
            )
        _standing(data.entry)


@app.command(epilog="Example: glasshouse data diff hf://org/model@v1.0.0 hf://org/model@v1.1.0 --key public.pem")
@signing.grouped
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="hf://org/model@v1.0.0, or a directory.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other release.")],
    trust: verify.Verifying,
    endpoint: verify.Endpoint = None,
    as_json: Json = False,
) -> None:
    """List the documents that two releases do not have alike: added, removed, changed.

    Whether or not they differ, it ends in 0; in 3 where nobody was named who would have signed the releases.
    """
    from registry.catalog import differences, entry
    from registry.catalog.shelves import find

    whom = whom_of(trust)
    sides = [entry.read(find(each, endpoint=endpoint), whom) for each in (first, second)]
    found = list(differences.documents(*sides))
    if as_json:
        output.data({"releases": [_signed(each) for each in sides], "documents": [each.as_json() for each in found]})
    else:
        for each in found:
            print(output.printable(str(each)))
        if not found:
            print("their data do not differ")
    _standing(*sides)


@app.command(
    epilog='Example: glasshouse data search hf://org/model@v1.0.0 "a passage" --index build/search --key public.pem'
)
@signing.grouped
def search(
    reference: Reference,
    passages: Annotated[list[str], typer.Argument(metavar="TEXT...", help="The passages, byte for byte.")],
    trust: verify.Verifying,
    index: Annotated[Path, typer.Option("--index", help="The folder that `python -m pipelines.search` wrote.")],
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="Documents named for each passage.")] = 10,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not hash the index: what is not found is then UNKNOWN, not absent.")
    ] = False,
    endpoint: verify.Endpoint = None,
    as_json: Json = False,
) -> None:
    """Tell whether the training data hold a passage, and in which documents.

    A passage that is found stands in a document that was trained on: its text is hashed. One that is not found is
    absent only where the release signs the index; else it ends in 3.
    """
    from registry.catalog import searching
    from registry.catalog.searching import Presence
    from registry.report import Verdict

    with _reading(reference, trust, endpoint, None) as data:
        where = searching.read(data, index, quick=quick)
        found = searching.search(data, where, passages, most)
        if as_json:
            told = [each.as_json() for each in found]
            output.data({"release": _signed(data.entry), "doubt": where.doubt, "passages": told})
        else:
            for each in found:
                print(output.printable(f"{each.presence}, {each.count} times: {each.text[:200]}"))
                for row, offset in each.places:
                    print(output.printable(f"  {row.source}/{row.path} (sha256:{row.sha256}), byte {offset}"))
        if where.doubt:
            output.say(f"what is not found may be there all the same: {where.doubt}")
        _standing(data.entry)
        if any(each.presence is Presence.UNKNOWN for each in found):
            raise typer.Exit(Verdict.UNKNOWN.exit_code)
