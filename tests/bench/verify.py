"""`glasshouse verify` against the stock `model_signing verify key`: a large file and 1,000 small ones, signed by a key.

Both commands run as a person runs them, in processes of their own, on the same directory, warm, in turn. What is
verified is bytes and signatures: the directory has a release statement and a model.sig, and no records or other
attestations. So glasshouse finds it incomplete (exit code 1), after all of its bytes and signatures were found good. A
release with records reads its weights once more for the digest of their tensors, and once for DVC's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry.attest import oms, predicates
from registry.attest.localkey import KeySigner
from registry.attest.statement import Subject
from registry.digest import BOTH, measure_files
from registry.manifest import Manifest, walk
from registry.records import layout

LARGE = int(os.environ.get("GLASSHOUSE_BENCH_BYTES", 2_000_000_000))
SMALL = 1000
ROUNDS = 3
BIN = Path(sys.executable).parent


def main() -> None:
    """Print a row for each way to verify, and its ratio to the stock command."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        scratch = Path(name)
        folder, public = _signed(scratch)
        stock = [str(BIN / "model_signing"), "verify", "key", str(folder), "--public_key", str(public)]
        ours = [str(BIN / "glasshouse"), "verify", str(folder), "--verbose", "--key", str(public)]
        commands = {
            "model_signing verify key": ([*stock, "--signature", str(folder / layout.SIGNATURE)], 0),
            "glasshouse verify": (ours, 1),
            "glasshouse verify --digest sha256": ([*ours, "--digest", "sha256"], 1),
            "glasshouse verify --digest both": ([*ours, "--digest", "both"], 1),
        }
        runs: dict[str, list[tuple[float, int]]] = {label: [] for label in commands}
        for _ in range(ROUNDS):
            for label, (command, code) in commands.items():
                runs[label].append(_timed(command, code))
        peer, *_ = medians = [statistics.median(taken for taken, _ in found) for found in runs.values()]
        print(f"{LARGE / 1e9:.1f} GB in one file and {SMALL} small ones; median of {ROUNDS}, {os.cpu_count()} cores")
        for (label, found), taken in zip(runs.items(), medians, strict=True):
            peak = max(peak for _, peak in found)
            print(f"{label:36} {taken:7.2f} s  {taken / peer:5.2f} x   peak {peak / 1e6:5.0f} MB")
        _manifest(folder)


def _manifest(folder: Path) -> None:
    """Both digests in one reading, against each alone."""
    files = [folder / path for path, _ in walk(folder)]
    taken = {}
    for label, algorithms in (("sha256", frozenset({"sha256"})), ("both", BOTH)):
        started = time.perf_counter()
        measure_files((path, algorithms) for path in files)  # type: ignore[misc]
        taken[label] = time.perf_counter() - started
    print(f"manifest with both digests: {taken['both']:.2f} s, {taken['both'] / taken['sha256']:.2f} x SHA-256 alone")


def _signed(scratch: Path) -> tuple[Path, Path]:
    """A directory with a release statement and a model.sig over it, and the public key of its signer."""
    folder = scratch / "model"
    (folder / "small").mkdir(parents=True)
    block = os.urandom(1 << 20)
    with (folder / layout.WEIGHTS).open("wb") as stream:
        for start in range(0, LARGE, len(block)):
            stream.write(block[: LARGE - start])
    for number in range(SMALL):
        (folder / f"small/{number:04d}.json").write_bytes(b'{"number":%d}' % number)
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (scratch / "private.pem").write_bytes(key.private_bytes(*form))
    signer = KeySigner(scratch / "private.pem")
    (scratch / "public.pem").write_text(signer.public_key.pem)
    manifest = Manifest.of_directory(folder)
    files = (
        predicates.ReleasedFile(path=e.path, sha256=e.sha256, size=e.size, blake3=e.blake3) for e in manifest.entries
    )
    statement = predicates.Release(
        name="bench/model", version="v1.0.0", source=predicates.SourceCommit(commit="0" * 40), files=tuple(files),
        attestations=(), weights=(layout.WEIGHTS,),
    ).about([Subject("bench/model@v1.0.0", manifest.sha256)])  # fmt: skip
    (folder / layout.ATTESTATIONS).mkdir()
    (folder / layout.RELEASE_ATTESTATION).write_bytes(signer.sign(statement))
    (folder / layout.SIGNATURE).write_bytes(oms.sign(folder, signer))
    return folder, scratch / "public.pem"


MEASURE = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
taken = time.perf_counter() - started
print(json.dumps([taken, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.returncode, done.stdout]))
"""
"""Runs in a small process of its own: what a process took at most begins with what its parent had."""


def _timed(command: Sequence[str], code: int) -> tuple[float, int]:
    """Seconds that the command takes, and bytes of memory at most."""
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    taken, peak, returned, said = json.loads(done.stdout)
    steps = {"2 bytes": 1, "3 signatures": 2}  # PASS, of each step, that glasshouse must have printed
    printed = all(sum(step in line and "PASS" in line for line in said.splitlines()) == n for step, n in steps.items())
    if returned != code or (code and not printed):
        raise SystemExit(f"{command}: {returned}\n{said}")
    return taken, peak * (1 if sys.platform == "darwin" else 1024)
