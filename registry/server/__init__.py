"""A small Hub-compatible server: bare git repositories for history, one SHA-256 blob store for large files.

It speaks enough of the Hugging Face Hub's protocol for the unmodified clients (huggingface_hub, the `hf` command, git,
git-lfs, transformers, datasets) to publish and to read. No database: what stands on the disk is all there is.

Imports go down only, and import contracts hold it:

    run                 starting and stopping
    collecting backup   what takes away the unused; copies
    still               the pages as plain files, for any static host
    check               the look at everything that is kept
    pages               what people look at, of releases; it knows the catalog
    routes protocol     what is asked over HTTP, and answered; HTTP on the wire. Nothing below knows HTTP
    state figures       one server with all its parts; how much it has done
    neighbours          other servers over the same folder, perhaps of other hosts
    format              the number of the folder's format, and the way from each older one
    access              people: users, organisations, tokens, sessions, rights, limits, signed links, trusted publishers
    store               git repositories, pull requests, large files; it knows no person
    shapes              what bodies are made of
    names locks         what may be named; locks between processes
    problems            what it says no with
"""

from registry import extras

with extras.needed("serve"):  # whatever of this package is imported, this is where it shows that the extra is missing
    from registry.server.run import serve

__all__ = ["serve"]
