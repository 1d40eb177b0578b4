"""python -m tests.bench [NAME ...]: run the named benchmarks, or all."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import tests.bench


def main() -> None:
    """Run what was asked for, one after the other."""
    known = sorted(
        module.name for module in pkgutil.iter_modules(tests.bench.__path__) if not module.name.startswith("_")
    )
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(known)}; by default all")
    names: list[str] = parser.parse_args().names or known
    if unknown := set(names) - set(known):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in names:
        print(f"== {name}", flush=True)
        importlib.import_module(f"tests.bench.{name}").main()


if __name__ == "__main__":
    main()
