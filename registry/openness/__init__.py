"""How open a model is, said from records."""
