"""The one door to huggingface_hub: what a release needs of a Hub, in a few calls, with our own errors.

    connection.py   an endpoint and a token; the library, told how to behave; one file's bytes
    reader.py       what a Hub has: commits, branches, tags, files; fetching and comparing them
    folder.py       what a tree is to be, and the commits that make it so
    progress.py     how many bytes have left
    sender.py       one commit; large files by Xet or LFS
    proposer.py     pull requests: what others propose, and what is too much for one commit
    writer.py       HubClient: publishing, tags, branches

A repository is `owner/name`, or `datasets/owner/name`. The library is imported at the first call (350 ms).
"""

from registry.hub.client.connection import PUBLIC_HUB
from registry.hub.client.reader import PullRequest
from registry.hub.client.writer import HubClient

__all__ = ["PUBLIC_HUB", "HubClient", "PullRequest"]
