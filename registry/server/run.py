"""Starting and stopping the server: one process, or several over one listening socket."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import TextIO

import uvicorn

from registry.errors import InputError, Unavailable
from registry.files import write_atomic
from registry.hub.client.upstream import Upstream
from registry.server import neighbours
from registry.server.access.limits import ServerLimits
from registry.server.figures import Figures
from registry.server.neighbours import SignOfLife
from registry.server.pages.sites import Site
from registry.server.pages.table import pages_of
from registry.server.protocol import prompt
from registry.server.routes.app import create_app
from registry.server.state import Hub
from registry.variables import MIRROR_TOKEN

GRACE_SECONDS = 10
_URL = re.compile(r"https?://[A-Za-z0-9.:_\[\]-]+(/[A-Za-z0-9._~/-]*)?")
MAX_WORKERS = 64
ORDERS = (signal.SIGTERM, signal.SIGINT)
"""To stop. SIGHUP opens the access log again, for it was moved away."""
RESTART_SECONDS = 1.0
"""A worker that dies is replaced, no sooner than this after the last one."""


def serve(
    *,
    root: Path,
    host: str = "127.0.0.1",
    port: int = 8080,
    port_file: Path | None = None,
    workers: int = 1,
    access_log: Path | None = None,
    blobs: str | None = None,
    xet: bool = True,
    url: str | None = None,
    origins: tuple[str, ...] = (),
    proxies: tuple[str, ...] = (),
    mirror: str | None = None,
    mirror_hosts: tuple[str, ...] = (),
    mirror_size: int | None = None,
    limits: ServerLimits | None = None,
) -> None:
    """Serve the repositories below `root` until SIGTERM or Ctrl-C, which let requests under way finish.

    port: 0 takes a free one.  port_file: gets the port, once connections are accepted.
    access_log: gets a line of JSON for each request; `-` means standard error.
    blobs: URL of the store of large files, for fsspec; without it, the folder.  xet: whether uploads by Xet are taken.
    url: where clients reach it, behind a proxy.  origins: whose pages browsers may ask from, `*` for anybody's.
    proxies: addresses, or networks, whose X-Forwarded-For and X-Forwarded-Proto are believed.
    mirror: the address of a Hub whose repositories are copied when they are asked for, by the token in
    GLASSHOUSE_MIRROR_TOKEN, else by none.  mirror_hosts: from which else it hands out files.  mirror_size: bytes of all
    that is kept of it.
    Binds to loopback unless told; put a TLS proxy in front of anything else.
    Raises InputError for a number of workers out of bounds, no URL, and as `neighbours.beside`; Unavailable where the
    port is taken.
    """
    if not 1 <= workers <= MAX_WORKERS:
        raise InputError(f"{workers} workers", mend=f"1 to {MAX_WORKERS}, about one for each core")
    if url is not None and not _URL.fullmatch(url):
        raise InputError(f"{url!r} is not the address of a server", mend="such as --url https://hub.example.org")
    for origin in origins:
        if origin != "*" and (not _URL.fullmatch(origin) or origin.count("/") > 2):
            raise InputError(f"{origin!r} is not an origin", mend="such as --origin https://app.example.org, or '*'")
    for proxy in proxies:
        try:
            ip_network(proxy)
        except ValueError as problem:
            raise InputError(f"{proxy!r} is not an address: {problem}", mend="such as --proxy 10.0.0.0/8") from problem
    upstream = Upstream(mirror, os.environ.get(MIRROR_TOKEN) or None, mirror_hosts) if mirror is not None else None
    hub = Hub.open(
        root, limits, blobs_url=blobs, xet=xet, url=url and url.rstrip("/"), origins=origins, proxies=proxies,
        upstream=upstream, mirror_size=mirror_size,
    )  # fmt: skip
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as problem:
        raise Unavailable(f"{host}:{port} cannot be listened on: {problem}", mend="choose another --port") from problem
    # asyncio leaves Nagle's algorithm on here, and each answer on a kept connection would take 40 ms more.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    figures = Figures(workers)
    with listener, neighbours.beside(root) as presence:
        if port_file is not None:
            write_atomic(port_file, f"{listener.getsockname()[1]}\n".encode())
        if workers == 1:
            _work(hub, listener, figures, access_log, presence)
        else:
            _Family(hub, listener, figures, access_log, presence).run(workers)


def _work(hub: Hub, listener: socket.socket, figures: Figures, access_log: Path | None, presence: SignOfLife) -> None:
    """Answer requests until told to stop."""
    presence.beat()
    site = Site.of(hub)
    Thread(target=site.make, name="index", daemon=True).start()  # the first who asks for a list waits less
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # it waits until this process can hear it
    log = _log(access_log)
    signal.signal(signal.SIGHUP, lambda order, frame: _reopen(log, access_log))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    config = uvicorn.Config(
        create_app(hub, figures, log, lambda served: pages_of(served, site)),
        http=prompt(hub.limits, hub.proxies),
        limit_concurrency=hub.limits.connections,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(hub.proxies),
        forwarded_allow_ips=list(hub.proxies),
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    # An order that comes before uvicorn listens for one is heard all the same. And uvicorn raises the signal that
    # stopped it once more: a stop that was asked for is not a failure.
    signal.signal(signal.SIGTERM, lambda order, frame: setattr(server, "should_exit", True))
    server.run(sockets=[listener])


class _Family:
    """A parent that starts workers, replaces those that die, and passes the order to stop on."""

    def __init__(
        self, hub: Hub, listener: socket.socket, figures: Figures, access_log: Path | None, presence: SignOfLife
    ) -> None:
        self._work = (hub, listener, figures, access_log, presence)
        self._children: dict[int, int] = {}
        self._stopping = False
        self._alive, self._held = os.pipe()  # the parent alone holds the end that would be written to

    def run(self, workers: int) -> None:
        """Until SIGTERM or Ctrl-C; every worker has ended when it returns."""
        for order in ORDERS:
            signal.signal(order, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        for row in range(workers):
            self._start(row)
        while self._children:
            try:
                child, _ = os.wait()
            except ChildProcessError:
                return
            row = self._children.pop(child)
            self._work[2].settle(row)
            if not self._stopping:
                print(f"worker {row} has died, and is replaced", file=sys.stderr)
                time.sleep(RESTART_SECONDS)
                self._start(row)

    def _start(self, row: int) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS)  # an order waits until the child can hear it
        if self._stopping:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return
        child = os.fork()
        if child:
            self._children[child] = row
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return
        code = 1
        try:
            for order in ORDERS:
                signal.signal(order, signal.SIG_DFL)
            os.close(self._held)
            Thread(target=_end_with_parent, args=(self._alive,), name="parent", daemon=True).start()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            hub, listener, figures, access_log, presence = self._work
            figures.row = row
            _work(hub, listener, figures, access_log, presence)
            code = 0
        finally:
            os._exit(code)

    def _pass_on(self, order: int, frame: FrameType | None) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, order)

    def _stop(self, order: int, frame: FrameType | None) -> None:
        self._stopping = True
        for child in self._children:
            with suppress(ProcessLookupError):  # it has died, and nobody has taken note yet
                os.kill(child, signal.SIGTERM)


def _end_with_parent(alive: int) -> None:
    """Stop this worker when its parent has died, however it did: the pipe to it then ends."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _reopen(log: TextIO | None, path: Path | None) -> None:
    """Go on in a new file of the same name."""
    if log is not None and log is not sys.stderr and path is not None:
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.dup2(new, log.fileno())
        os.close(new)


def _log(path: Path | None) -> TextIO | None:
    """Where the lines of the access log go; appended, a line at a time, so workers may share a file."""
    if path is None:
        return None
    return sys.stderr if str(path) == "-" else path.open("a", buffering=1)
