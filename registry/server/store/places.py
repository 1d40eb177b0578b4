"""Where each thing lies in the server's folder. These names are the format of that folder: they never change."""

from __future__ import annotations

REPOSITORIES = "repos"
"""Bare git repositories: KIND/OWNER/NAME.git."""
BLOBS = "blobs"
"""Large files by their SHA-256, where no other store has them."""
BLOBS_URL = "blobs.url"
"""The file that names the other store."""
UPLOADS = "blobs/uploads"
"""Large files on their way in; beside the blobs, so that they can be moved there."""
XORB_MAPS = "xet"
"""Where the chunks of Xet uploads are now: USER/XORB."""
COLLECT_LOCK = "collect.lock"
"""Held, with others, while a blob is put and entered; alone, while unused ones are taken away."""
QUOTA_LOCK = "quota.lock"
"""Held while a namespace grows, where there is a quota."""
