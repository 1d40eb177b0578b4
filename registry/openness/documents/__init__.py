"""Documents about a release in formats of others: each is rendered from signed records, and held to them ever after."""
