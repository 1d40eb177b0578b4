"""Cards, rendered from records: of the model, of its data set, of its GGUF files."""
