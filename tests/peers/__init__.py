"""Other people's suites, held to the product: `make peers` runs those whose checkouts are there. See README.md."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / ".peers"
"""Where `make peers` installs what the suites need and the product does not."""
