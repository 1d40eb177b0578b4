"""Where a release lives: references to it, the client of a Hub, transfer and metadata."""
