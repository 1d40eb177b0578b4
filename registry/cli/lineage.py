"""`glasshouse lineage`: what a release came from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from registry.cli import output
from registry.cli.catalog import Json, Reference, whom_of
from registry.cli.signing import grouped
from registry.cli.tree import App
from registry.cli.verify import Endpoint, Verifying

EXAMPLE = "Example: glasshouse lineage hf://org/model@v1.0.0 --svg lineage.svg"
app = App()


class LineageForm(StrEnum):
    """In what form a lineage is printed."""

    TREE = "tree"
    DOT = "dot"
    OPENLINEAGE = "openlineage"


@app.command("lineage", epilog=EXAMPLE)
@grouped
def lineage(
    reference: Reference,
    trust: Verifying,
    form: Annotated[LineageForm, typer.Option("--form", help="What to print.")] = LineageForm.TREE,
    dot: Annotated[bool, typer.Option("--dot", help="Print it for Graphviz: the same as --form dot.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write it to this file as a picture.")] = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Show what a release came from.

    Weights, stages, data, sources, code, and what belongs to the release.
    """
    from registry.catalog import drawing, entry, openlineage
    from registry.catalog import lineage as lineages
    from registry.catalog.shelves import find
    from registry.files import write_atomic

    found = entry.read(find(reference, endpoint=endpoint), whom_of(trust))
    graph = lineages.graph(found)
    if svg is not None:
        write_atomic(svg, drawing.svg(graph).encode())
        output.say(f"{svg} has {len(graph.nodes)} things")
    if as_json:
        output.data({**graph.as_json(), "signature": found.signature.as_json()})
    elif dot or form is LineageForm.DOT:
        print(drawing.dot(graph), end="")
    elif form is LineageForm.OPENLINEAGE:
        source = found.record.source
        output.data(
            openlineage.events(
                graph, repo=found.release.name, time=source.committed_at, source=(source.remote, source.commit)
            )
        )
    elif svg is None:
        for line in drawing.tree(graph):
            print(output.printable(line))
