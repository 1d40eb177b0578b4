"""`glasshouse data`: prove that a document was trained on, and check such a proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli import output, signing, verify
from registry.cli.tree import App

app = App(help="Ask what a model was trained on.", no_args_is_help=True)


@app.command(epilog="Example: glasshouse data prove texts/001.txt --manifest provenance > proof.json")
def prove(
    document: Annotated[str, typer.Argument(metavar="DOC", help="Its path as in the manifest, or its SHA-256.")],
    manifest: Annotated[
        Path, typer.Option("--manifest", help="The folder with data-manifest.json and data-manifest.jsonl.")
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
    row = found.row
    if as_json:
        output.data({"root": signed, "rows": rows, "row": row.as_json(), "trainedOn": row.use == "train"})
        return
    print(output.printable(f"{row.source}/{row.path} (sha256:{row.sha256}, {row.license}, {row.use})"))
    print(f"is one of the {'' if rows is None else f'{rows} '}rows under the root {signed}")
    if row.use == "excluded":
        print(output.printable(f"and is listed as excluded ({row.reason}): the model was not trained on it"))
