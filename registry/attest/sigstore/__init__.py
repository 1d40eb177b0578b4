"""The one door to sigstore-python and TUF: signing with an identity, and verifying that without a network.

sigstore-python comes with everything that a TUF client can sign with, Amazon's client among it where DVC brought that,
with what asks services, and builds a parser of each of its formats at once. Verifying needs none of it: what is left
loads in half of the time.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pydantic import BaseModel

UNUSED = "boto3"
"""What a signer of a TUF repository may keep its key with (securesystemslib.signer)."""
LATER = {"requests": ("Session",), "jwt": (), "tuf.ngclient": ("Updater", "UpdaterConfig")}
"""What asks services and reads identity tokens. For each module, what of it sigstore-python names while it loads, to
say what a function gives or to call it later."""


class _Later(ModuleType):
    """Stands for a module until something in it is used: then the module is loaded, and answers.

    Law: whoever holds it gets what the module has, and nothing else. What differs is when.
    """

    def __init__(self, spec: ModuleSpec, called: tuple[str, ...]) -> None:
        """For the module of `spec`; `called` names functions and classes in it that are called, and nothing else."""
        super().__init__(spec.name)
        self.__path__ = spec.submodule_search_locations or []  # `from MODULE import NAME` asks for it
        for name in called:
            setattr(self, name, self._call(name))

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":  # sigstore-python tells services which one it has, and asks before there are any
            try:
                return version(self.__name__)
            except PackageNotFoundError:
                pass
        return getattr(self._loaded(), name)

    def _call(self, name: str) -> Callable[..., Any]:
        return lambda *values, **named: getattr(self._loaded(), name)(*values, **named)

    def _loaded(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return import_module(self.__name__)


@contextmanager
def _lightly() -> Iterator[None]:
    """Within: UNUSED counts as not installed, and LATER is loaded when it is used, but for what is loaded already;
    parsers are built when they are first used.
    """
    hidden: dict[str, Any] = {UNUSED: None}  # "not to be found", as the import system has it
    hidden |= {name: _Later(spec, called) for name, called in LATER.items() if (spec := find_spec(name))}
    hidden = {name: instead for name, instead in hidden.items() if name not in sys.modules}
    sys.modules.update(hidden)
    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
        for name, instead in hidden.items():
            if sys.modules.get(name, ...) is instead:
                del sys.modules[name]


with _lightly():
    import sigstore.models
    import sigstore.verify  # noqa: F401
