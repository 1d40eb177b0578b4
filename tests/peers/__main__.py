"""`make peers`: hold the product to the suites of others whose checkouts lie in one folder."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.goldens.make_releases import goldens
from tests.peers import SITE, hub, intoto, oms, served, sigstore_bundles
from tests.peers.tally import Tally

CHECKOUTS = {
    "sigstore-conformance": "https://github.com/sigstore/sigstore-conformance",
    "attestation": "https://github.com/in-toto/attestation",
    "slsa-verifier": "https://github.com/slsa-framework/slsa-verifier",
    "model-signing-conformance": "https://github.com/sampras343/model-signing-conformance",
    "model-signing-spec": "https://github.com/sampras343/model-signing-spec",
    "huggingface_hub": "https://github.com/huggingface/huggingface_hub",
}
"""Name of a folder -> where the suite is to be had."""


def main() -> int:
    """Run what is asked for, or all that is there. 1 where something failed that is not known."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds the checkouts, each by its own name")
    parser.add_argument("suites", nargs="*", help=f"some of: {', '.join(SUITES)}; by default all")
    parser.add_argument("--by-command", action="store_true", help="oms: verify by the command, not by the library")
    parser.add_argument("--stock", action="store_true", help="oms: model_signing itself, to compare")
    parser.add_argument("--python", type=Path, help="hub: of an environment with huggingface_hub's [testing] extra")
    parser.add_argument("--files", nargs="*", help="hub: some of its files, such as test_hf_file_system")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what passed, too")
    asked = parser.parse_args()
    sys.path.append(str(SITE))
    if unknown := sorted(set(asked.suites) - SUITES.keys()):
        parser.error(f"there is no suite {', '.join(unknown)}")
    good = True
    for name in asked.suites or SUITES:
        needs, start, known = SUITES[name]
        print(f"== {name}", flush=True)
        if missing := [each for each in needs if not (asked.folder / each).is_dir()]:
            print("\n".join(f"not there: git clone {CHECKOUTS[each]} {asked.folder / each}" for each in missing))
            continue
        tally = Tally(known, asked.verbose)
        start(asked, tally)
        good = tally.end() and good
    return int(not good)


def _sigstore(asked: argparse.Namespace, tally: Tally) -> None:
    sigstore_bundles.run(asked.folder / "sigstore-conformance", tally)


def _intoto(asked: argparse.Namespace, tally: Tally) -> None:
    (golden,) = [golden for golden in goldens() if golden.name == "v1/trained"]
    verifier = asked.folder / "slsa-verifier"
    with tempfile.TemporaryDirectory(), golden.unpacked() as release:
        intoto.run(asked.folder / "attestation", release, verifier if verifier.is_dir() else None, tally)


def _oms(asked: argparse.Namespace, tally: Tally) -> None:
    checkout, spec = asked.folder / "model-signing-conformance", asked.folder / "model-signing-spec"
    tally.known = {} if asked.stock else oms.BY_COMMAND if asked.by_command else oms.KNOWN
    oms.run(checkout, spec, tally, by_command=asked.by_command, stock=asked.stock)


def _hub(asked: argparse.Namespace, tally: Tally) -> None:
    if asked.python is None:
        print("not run: give --python, of an environment with huggingface_hub's [testing] extra and pytest-timeout")
        return
    hub.run(asked.folder / "huggingface_hub", asked.python.absolute(), tally, asked.files)


def _served(asked: argparse.Namespace, tally: Tally) -> None:
    served.run(tally)


Start = Callable[[argparse.Namespace, Tally], None]
SUITES: dict[str, tuple[tuple[str, ...], Start, dict[str, str]]] = {
    "sigstore": (("sigstore-conformance",), _sigstore, {}),
    "intoto": (("attestation",), _intoto, {}),
    "oms": (("model-signing-conformance", "model-signing-spec"), _oms, oms.KNOWN),
    "served": ((), _served, served.KNOWN),
    "hub": (("huggingface_hub",), _hub, hub.KNOWN),
}
"""Name -> (checkouts that it needs, how it is run, failures that are known)."""


if __name__ == "__main__":
    sys.exit(main())
