"""Each kind of model: its door, and what the Hub is told of it."""
