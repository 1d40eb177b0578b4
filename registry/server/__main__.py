"""`python -m registry.server --root DIR`: the server by itself, without the rest of the command."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from registry.errors import GlasshouseError
from registry.server.access.limits import ServerLimits
from registry.server.run import serve


def main() -> int:
    """Parse the command line and serve; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m registry.server", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of repositories and blobs; made if missing")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="write the port here once connections are accepted")
    parser.add_argument("--workers", type=int, default=1, help="processes that answer")
    parser.add_argument("--access-log", type=Path, help="file for a line of JSON a request; - is standard error")
    parser.add_argument("--blobs", help="URL of the store of large files; without it, the folder")
    parser.add_argument("--url", help="where clients reach it, behind a proxy: https://hub.example.org")
    parser.add_argument(
        "--origin", dest="origins", action="append", default=[], help="whose pages browsers may ask from"
    )
    parser.add_argument(
        "--proxy", dest="proxies", action="append", default=[], help="whose X-Forwarded-For is believed"
    )
    parser.add_argument("--mirror", help="a Hub whose repositories are copied when they are asked for")
    parser.add_argument(
        "--mirror-host", dest="mirror_hosts", action="append", default=[], help="from which else it hands out files"
    )
    parser.add_argument("--mirror-size", type=int, help="bytes of all that is kept of it")
    parser.add_argument("--no-xet", dest="xet", action="store_false", help="do not speak Xet")
    defaults = asdict(ServerLimits())
    for name, value in defaults.items():
        kind = int if value is None else type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value, help="see ServerLimits")
    options = vars(parser.parse_args())
    for name in ("origins", "proxies", "mirror_hosts"):
        options[name] = tuple(options[name])
    limits = ServerLimits(**{name: options.pop(name) for name in defaults})
    try:
        serve(**options, limits=limits)
    except GlasshouseError as problem:
        print(f"{problem.message}\n{problem.mend}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
