"""Documents in formats of others: valid to their own tools, and held to the records."""
