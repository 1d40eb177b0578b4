"""Git repositories, and one store of large files by their SHA-256. It knows no person and no HTTP."""
