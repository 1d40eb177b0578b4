"""A trainer that learns nothing, and can be replayed: it keeps the contract of docs/reference/replay.md."""
