"""A small Hub-compatible server: bare git repositories for history, one SHA-256 blob store for large files.

It speaks enough of the Hugging Face Hub's protocol for the unmodified clients (huggingface_hub, the `hf` command, git,
git-lfs, transformers, datasets) to publish and to read. No database: what stands on the disk is all there is.
"""

from registry.hub.server.run import serve

__all__ = ["serve"]
