"""`glasshouse serve`: a small Hub of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: glasshouse serve --root ./hub --tokens ./tokens.txt --port 8080"


def serve(
    root: Annotated[Path, typer.Option(help="Folder that holds repositories and blobs; made if missing.")],
    tokens: Annotated[Path, typer.Option(help="File of `name:token[:namespace,...]` lines: who may write where.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on. Put a TLS proxy before any but loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    port_file: Annotated[Path | None, typer.Option(help="Write the port here once the server answers.")] = None,
) -> None:
    """Serve models over the Hub's own protocol, from bare git repositories and a SHA-256 blob store."""
    from registry.hub.server import serve as run

    run(root=root, tokens=tokens, host=host, port=port, port_file=port_file)
