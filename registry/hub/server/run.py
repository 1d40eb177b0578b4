"""Starting and stopping the server."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import uvicorn

from registry.errors import Unavailable
from registry.files import write_atomic
from registry.hub.server.app import create_app
from registry.hub.server.auth import Tokens
from registry.hub.server.state import PART_SIZE, Hub

GRACE_SECONDS = 10


def serve(
    *,
    root: Path,
    tokens: Path,
    host: str = "127.0.0.1",
    port: int = 8080,
    port_file: Path | None = None,
    part_size: int = PART_SIZE,
) -> None:
    """Serve the repositories below `root` until SIGTERM or Ctrl-C, which let requests under way finish.

    tokens: see `Tokens.read`.  port: 0 takes a free one.  port_file: gets the port, once connections are accepted.
    Binds to loopback unless told; put a TLS proxy in front of anything else.
    Raises InputError for a bad file of tokens, Unavailable where the port is taken.
    """
    hub = Hub(root, Tokens.read(tokens), part_size)
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as problem:
        raise Unavailable(f"{host}:{port} cannot be listened on: {problem}", mend="choose another --port") from problem
    # asyncio leaves Nagle's algorithm on here, and each answer on a kept connection would take 40 ms more.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        create_app(hub),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # uvicorn raises the signal that stopped it once more; a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with listener:
        if port_file is not None:
            write_atomic(port_file, f"{listener.getsockname()[1]}\n".encode())
        uvicorn.Server(config).run(sockets=[listener])
