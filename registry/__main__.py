"""`python -m registry` is `glasshouse`, run from the source that lies in the current directory."""

from registry.cli import main

main()
