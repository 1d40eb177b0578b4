"""Git repositories, and one store of large files by their SHA-256."""
