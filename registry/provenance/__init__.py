"""Where a model came from: git, DVC, MLflow, and the chain of digests from the weights back to the data."""
