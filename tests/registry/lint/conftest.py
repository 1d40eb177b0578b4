"""No token, endpoint, cache or proxy of the machine reaches a test."""

from tests.registry.hub.conftest import quiet_environment

__all__ = ["quiet_environment"]
