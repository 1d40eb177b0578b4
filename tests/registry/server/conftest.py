"""The servers and repositories that the client's tests use, too."""

from tests.registry.hub.conftest import client, folder, hub, quiet_environment, repo, xet_hub

__all__ = ["client", "folder", "hub", "quiet_environment", "repo", "xet_hub"]
