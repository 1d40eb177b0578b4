"""`make lock`, second half: part the locks into what every machine installs, and what only some need.

The CUDA build of torch needs packages of its own, and so do `make kinds` and the extras `evaluate` and `ray`.

The CPU build of torch is on no common registry, so the digests of its wheels are given; the registry's own build goes
with the CUDA packages into requirements-cuda.lock.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

CUDA = re.compile(r"(nvidia-|cuda-|triton|torch==)")


def main() -> None:
    """Read the whole lock, write requirements.lock, requirements-cuda.lock, and those that lie beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--torch-cpu", required=True, nargs="+", help="SHA-256 of the CPU wheels")
    words = "a lock of more, and where to write what the whole lock has not"
    parser.add_argument("--beside", required=True, nargs=2, action="append", type=Path, help=words)
    arguments = parser.parse_args()
    packages = _packages(arguments.lock)
    cuda = [package for package in packages if CUDA.match(package)]
    torch = next(package for package in cuda if package.startswith("torch=="))
    version = torch.split()[0]
    cpu = " \\\n    ".join([f"{version}+cpu", *(f"--hash=sha256:{digest}" for digest in sorted(arguments.torch_cpu))])
    everywhere = [
        cpu if package == torch else package for package in packages if package == torch or package not in cuda
    ]
    Path("requirements.lock").write_text("\n".join(everywhere) + "\n")
    Path("requirements-cuda.lock").write_text("\n".join(cuda) + "\n")
    there = set(map(_name, packages))
    for lock, target in arguments.beside:
        beyond = [package for package in _packages(lock) if _name(package) not in there]
        target.write_text("\n".join(beyond) + "\n")


def _packages(lock: Path) -> list[str]:
    """What the lock says of each package: its version, and its digests."""
    return re.split(r"\n(?=[a-z0-9])", lock.read_text().strip())


def _name(package: str) -> str:
    return package.partition("==")[0]


if __name__ == "__main__":
    main()
