"""The one door to sigstore-python and TUF: signing with an identity, and verifying that without a network.

sigstore-python comes with everything that a TUF client can sign with, Amazon's client among it where DVC brought that,
with what asks services, with each form of entry that a log can have, and builds a parser of each of its formats at
once. Verifying needs none of it: what is left loads in half of the time.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from registry.later import Later, put_off

UNUSED = "boto3"
"""What a signer of a TUF repository may keep its key with (securesystemslib.signer)."""
LATER = {"requests": ("Session",), "jwt": (), "tuf.ngclient": ("Updater", "UpdaterConfig")}
"""What asks services and reads identity tokens. For each module, what of it sigstore-python names while it loads, to
say what a function gives or to call it later."""
FORMS = ("alpine", "cose", "helm", "intoto", "jar", "rekord", "rfc3161", "rpm", "tuf")
"""The forms of log entries in which no statement of ours is logged: a signer's client reads them, too."""


class _Service(Later):
    """Stands for what asks services. It tells its version at once: sigstore-python has that in a text as it loads."""

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            setattr(self, name, import_module(f"{self.__name__}.{name}").__version__)
            return self.__dict__[name]
        return super().__getattr__(name)


class _Form(Later):
    """Stands for a form of entries. A class that names it makes a forward reference, for there is nothing in it until
    all is loaded; pydantic follows that when the class is first used.
    """

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            raise NameError(name)
        return super().__getattr__(name)


def _later() -> Iterator[Later]:
    for name, called in LATER.items():
        yield from _Service.installed(name, called)
    yield from (_Form(f"rekor_types._internal.{form}") for form in FORMS)


@contextmanager
def _lightly() -> Iterator[None]:
    """Within: UNUSED counts as not installed, and parsers are built when they are first used."""
    if hidden := UNUSED not in sys.modules:
        sys.modules[UNUSED] = None  # type: ignore[assignment]  # "not to be found", as the import system has it
    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
        if hidden and sys.modules.get(UNUSED, ...) is None:
            del sys.modules[UNUSED]


with _lightly(), put_off(_later()):
    import sigstore.models
    import sigstore.verify  # noqa: F401
