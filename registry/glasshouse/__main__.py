"""The installed command: `glasshouse`, and `python -m glasshouse`."""

import sys

from .own import take

COULD_NOT_CHECK = 3
"""As in registry.errors, which cannot be had where this is needed."""


def main() -> None:
    """Run the command of our own `registry`, whatever else is called so where it runs."""
    try:
        take()
    except ImportError as problem:
        print(f"glasshouse: {problem}", file=sys.stderr)
        sys.exit(COULD_NOT_CHECK)
    from registry.cli import main as run

    run()


if __name__ == "__main__":
    main()
