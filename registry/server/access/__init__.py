"""Who may do what, and how much of it: tokens, issuers of identities, publishers, limits."""
