"""`glasshouse verify` against the stock `model_signing verify key`: a large file and 1,000 small ones, signed by a key.

Both commands run as a person runs them, in processes of their own, on the same directory, warm, in turn. What is
verified is bytes and signatures: the directory has a release statement and a model.sig, and no records or other
attestations. So glasshouse finds it incomplete (exit code 1), after all of its bytes and signatures were found good. A
release with records reads its weights once more for the digest of their tensors, and once for DVC's.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry.attest import oms, predicates
from registry.attest.localkey import KeySigner
from registry.attest.statement import Subject
from registry.digest import BOTH, measure_files
from registry.manifest import Manifest, walk
from registry.records import layout
from tests.bench._paired import BIN, Command, compare

LARGE = int(os.environ.get("GLASSHOUSE_BENCH_BYTES", 2 << 30))
SMALL = 1000


def main() -> None:
    """Print a row for each way to verify, and its ratio to the stock command."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        scratch = Path(name)
        folder, public = signed(scratch)
        stock = [BIN / "model_signing", "verify", "key", folder, "--public_key", public]
        ours = [BIN / "glasshouse", "verify", folder, "--verbose", "--key", public]
        print(f"{LARGE / (1 << 30):.2f} GiB in one file, and {SMALL} small ones", flush=True)
        compare(
            {
                "model_signing verify key": Command([*stock, "--signature", folder / layout.SIGNATURE]),
                "glasshouse verify": Command(ours, 1, _did),
                "glasshouse verify --digest sha256": Command([*ours, "--digest", "sha256"], 1, _did),
                "glasshouse verify --digest both": Command([*ours, "--digest", "both"], 1, _did),
            }
        )
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


def signed(scratch: Path, *, large: int = LARGE, small: int = SMALL) -> tuple[Path, Path]:
    """A directory with a release statement and a model.sig over it, and the public key of its signer.

    large: bytes of its largest file.  small: how many small ones there are.
    """
    folder = scratch / "model"
    (folder / "small").mkdir(parents=True)
    block = os.urandom(1 << 20)
    with (folder / layout.WEIGHTS).open("wb") as stream:
        for start in range(0, large, len(block)):
            stream.write(block[: large - start])
    for number in range(small):
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


def _did(said: str) -> bool:
    """Whether glasshouse printed PASS for the bytes, and for both signatures."""
    steps = {"2 bytes": 1, "3 signatures": 2}
    return all(sum(step in row and "PASS" in row for row in said.splitlines()) == n for step, n in steps.items())


if __name__ == "__main__":
    main()
