"""Where a release lives: references to it, the client of a Hub, and (in `server`) a small Hub of one's own."""
