"""Serve a throwaway Sigstore until interrupted, or mint an identity token for it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.sigstore_instance.instance import SigstoreInstance, issuer_of

WARNING = "A throwaway Sigstore instance: its certificates prove nothing outside this machine."


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m tests.sigstore_instance", description=__doc__, epilog=WARNING)
    parser.add_argument("action", nargs="?", choices=["serve", "token"], default="serve", help="default: serve")
    parser.add_argument("--folder", type=Path, required=True, help="where its keys, logs and trust configs are kept")
    parser.add_argument("--port", type=int, default=0, help="serve: default the last port, else a free one")
    parser.add_argument("--identity", help="token: whom it names, a mail address or a URI")
    options = parser.parse_args(arguments)
    if options.action == "serve":
        return _serve(options.folder, options.port)
    if not options.identity:
        parser.error("token needs --identity")
    print(issuer_of(options.folder).token(options.identity))
    return 0


def _serve(folder: Path, port: int) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with SigstoreInstance.start(folder, port=port) as instance:
            print(WARNING, flush=True)
            print(f"{instance.url} is ready; sign and verify with {instance.trust_config_path}", flush=True)
            stop.wait()
    except (RuntimeError, OSError) as problem:
        print(f"cannot start: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
