"""What statements prove: the claims of a release, SLSA, and the lineage from the weights back to the data."""
