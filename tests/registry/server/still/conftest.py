"""The browser of the tests of docs/, and the server of the tests of its pages, for the still ones."""

from tests.docs.conftest import browser
from tests.registry.server.pages.conftest import pages

__all__ = ["browser", "pages"]
