"""Glasshouse for programs: verify, fetch, lint, sign and publish releases of open models.

    import glasshouse

    policy = glasshouse.Policy.load(Path("policy.yaml"))
    report = glasshouse.verify("hf://org/model@v1.0.0", policy)

Every name is one of `registry.api`, where it is documented; nothing is loaded before it is used. This folder is
installed as the package `glasshouse`, beside `registry`.
"""

from typing import TYPE_CHECKING

from .own import insist

if TYPE_CHECKING:
    from registry.api import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        """The public name `name`, loaded.

        Raises AttributeError for one that `registry.api` does not offer, and ImportError where Python finds another
        package called `registry` first.
        """
        insist()
        from registry import api

        if name in api.__all__ or name == "__all__":
            return getattr(api, name)
        raise AttributeError(f"module 'glasshouse' has no attribute {name!r}")

    def __dir__() -> list[str]:
        insist()
        from registry import api

        return sorted({*globals(), *api.__all__})
