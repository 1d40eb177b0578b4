"""`python -m registry.hub.server --root DIR --tokens FILE`: the server by itself, without the rest of the command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from registry.errors import GlasshouseError
from registry.hub.server.run import serve
from registry.hub.server.state import PART_SIZE


def main() -> int:
    """Parse the command line and serve; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m registry.hub.server", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of repositories and blobs; made if missing")
    parser.add_argument("--tokens", type=Path, required=True, help="file of name:token:organization,… lines")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="write the port here once connections are accepted")
    parser.add_argument("--part-size", type=int, default=PART_SIZE, help="bytes of a part of a large upload")
    try:
        serve(**vars(parser.parse_args()))
    except GlasshouseError as problem:
        print(f"{problem.message}\n{problem.mend}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
