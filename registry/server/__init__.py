"""A small Hub-compatible server: bare git repositories for history, one SHA-256 blob store for large files.

It speaks enough of the Hugging Face Hub's protocol for the unmodified clients (huggingface_hub, the `hf` command, git,
git-lfs, transformers, datasets) to publish and to read. No database: what stands on the disk is all there is.

    run app declared openapi limits observe      starting, routes, what they take, what nobody gets more of, figures
    reading content smart                        routes that read: facts, files, git
    writing large ingest proposing               routes that write: commits, large files by LFS and Xet, pull requests
    repository pulls commits changes git ledger  one repository: its git, its pull requests, which contents it has
    blobs remote uploads serving xet             large files: where they are kept, on their way in and out
    auth tokens publishers issuers names         who may do what, and what may be named
    check locks state problems bodies            the check of the store, and what all share
"""

from registry import extras

with extras.needed("serve"):  # whatever of this package is imported, this is where it shows that the extra is missing
    from registry.server.run import serve

__all__ = ["serve"]
