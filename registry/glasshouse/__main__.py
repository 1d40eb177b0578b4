"""The installed command: `glasshouse`, and `python -m glasshouse`."""

from .own import take


def main() -> None:
    """Run the command of our own `registry`, whatever else is called so where it runs."""
    take()
    from registry.cli import main as run

    run()


if __name__ == "__main__":
    main()
