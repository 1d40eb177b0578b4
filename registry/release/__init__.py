"""The maintainer's path: draft -> prepare -> sign -> publish, and `cut`, which walks all of it."""
