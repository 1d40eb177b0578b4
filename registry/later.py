"""Modules that are loaded when they are used, not when they are named.

Law: whoever holds what stands for a module gets what the module has, and nothing else. What differs is when.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Self


class Later(ModuleType):
    """Stands for a module until something in it is used: then the module is loaded, and answers."""

    def __init__(self, name: str, called: Iterable[str] = (), path: Iterable[str] = ()) -> None:
        """For the module `name`, whose submodules are looked for at `path`.

        called: functions and classes in it that can be had before it is loaded, for they are called, and nothing else.
        """
        super().__init__(name)
        self.__path__ = [*path]  # `from MODULE import NAME` asks for it
        for each in called:
            setattr(self, each, self._call(each))

    @classmethod
    def installed(cls, name: str, called: Iterable[str] = ()) -> Iterator[Self]:
        """Yield one for the module `name`, if that is installed."""
        if spec := find_spec(name):
            yield cls(name, called, spec.submodule_search_locations or ())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loaded(), name)

    @property
    def folder(self) -> tuple[ModuleType, str] | None:
        """The package that it is in, and what it is called there; None where that is not loaded."""
        package, _, name = self.__name__.rpartition(".")
        return (sys.modules[package], name) if package in sys.modules else None

    def _call(self, name: str) -> Callable[..., Any]:
        return lambda *values, **named: getattr(self.loaded(), name)(*values, **named)

    def loaded(self) -> ModuleType:
        """The module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return import_module(self.__name__)


@contextmanager
def put_off(modules: Iterable[Later]) -> Iterator[None]:
    """Within: who imports one of `modules` gets what stands for it, but for those that are loaded already."""
    standing = [(each, each.folder) for each in modules if each.__name__ not in sys.modules]
    for each, folder in standing:
        sys.modules[each.__name__] = each
        if folder:
            setattr(*folder, each)  # `import FOLDER.MODULE` leaves it there
    try:
        yield
    finally:
        for each, folder in standing:
            if sys.modules.get(each.__name__) is each:
                del sys.modules[each.__name__]
            if folder and getattr(*folder, None) is each:
                delattr(*folder)
