"""`glasshouse serve`: a small Hub of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli.tree import App

EXAMPLE = "Example: glasshouse serve --root ./hub --port 8080"
app = App()


@app.command("serve", epilog=EXAMPLE)
def serve(
    root: Annotated[Path, typer.Option(help="Folder that holds repositories, blobs and tokens; made if missing.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on. Put a TLS proxy before any but loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    port_file: Annotated[Path | None, typer.Option(help="Write the port here once the server answers.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that answer; about one for each core.")] = 1,
    access_log: Annotated[
        Path | None, typer.Option(help="Append a line of JSON for each request; `-` is standard error.")
    ] = None,
    quota: Annotated[
        int | None, typer.Option(help="Bytes that the repositories of one namespace may hold.", show_default="no end")
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests a second of one address, for each worker.", min=0.1)] = 200.0,
    blobs: Annotated[
        str | None,
        typer.Option(help="Keep large files at this fsspec URL, such as s3://bucket/hub; from the first start on."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where clients reach it, behind a proxy: https://hub.example.org.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Let pages of this origin ask, in browsers; may be given several times; `*` for all."),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="Believe X-Forwarded-For of this address or network; may be given several times."),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(help="Copy what is not here from this Hub when it is asked for, such as https://huggingface.co."),
    ] = None,
    mirror_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Fetch its files from this host, too; `.example.org` is all below; may be given several times."
        ),
    ] = None,
    mirror_size: Annotated[
        int | None, typer.Option(help="Bytes of all that is kept of it.", show_default="the disk, but for 1 GiB")
    ] = None,
    xet: Annotated[
        bool, typer.Option("--xet/--no-xet", help="Speak Xet; without it, clients set HF_HUB_DISABLE_XET=1.")
    ] = True,
    check: Annotated[
        bool,
        typer.Option("--check", help="Do not serve: check every repository and blob, and say what is amiss."),
    ] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="Do not serve: take away what nothing has led to for a day.")
    ] = False,
    backup: Annotated[
        Path | None, typer.Option(help="Do not serve: copy all of it there, also while a server runs.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="With --check: read again what held before, and was not written since.")
    ] = False,
) -> None:
    """Serve models over the Hub's own protocol. They stand in bare git repositories and a SHA-256 blob store."""
    if backup is not None:
        from registry.server.backup import back_up

        made = back_up(root, backup)
        print(f"{made.repositories} repositories, {made.blobs} more large files, {made.size} bytes of them: {backup}")
        return
    if check or collect:
        _look_after(root, check=check, everything=everything, collect=collect)
        return
    from registry import server
    from registry.server.access.limits import ServerLimits

    limits = ServerLimits(quota=quota, rate=rate)
    server.serve(
        root=root,
        host=host,
        port=port,
        port_file=port_file,
        workers=workers,
        access_log=access_log,
        blobs=blobs,
        xet=xet,
        url=url,
        origins=tuple(origin or ()),
        proxies=tuple(proxy or ()),
        mirror=mirror,
        mirror_hosts=tuple(mirror_host or ()),
        mirror_size=mirror_size,
        limits=limits,
    )


def _look_after(root: Path, *, check: bool, everything: bool, collect: bool) -> None:
    faults = _check(root, everything) if check else False
    if collect:
        from registry.cli import output
        from registry.server import collecting

        found = collecting.collect(root)
        for fault in found.faults:
            output.say(output.printable(f"left as it is: {fault}"))
        print(f"{found.freed} bytes freed")
        faults = faults or bool(found.faults)
    if faults:
        raise typer.Exit(1)


def _check(root: Path, everything: bool) -> bool:
    """Whether something is amiss."""
    from registry.cli import output
    from registry.server import check

    with output.progress("checking blobs") as progress:
        found = check.examine(root, progress, everything=everything)
    for fault in found.faults:
        output.say(output.printable(fault))
    words = f"{found.repositories} repositories, {found.blobs} blobs, {found.size} bytes: {len(found.faults)} faults"
    print(f"{words}; {len(found.unused)} blobs that nothing refers to")
    return bool(found.faults)
