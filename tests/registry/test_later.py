"""Modules that are loaded when they are used."""

from __future__ import annotations

import importlib
import sys

import pytest

from registry.later import Later, put_off

NAME = "wsgiref.util"
"""A module that nothing here has need of."""


@pytest.fixture(autouse=True)
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import wsgiref

    monkeypatch.delitem(sys.modules, NAME, raising=False)
    monkeypatch.delattr(wsgiref, "util", raising=False)


def test_who_imports_it_has_it_once_something_in_it_is_used() -> None:
    with put_off([Later(NAME)]):
        import wsgiref
        import wsgiref.util as held

        assert wsgiref.util is held and isinstance(held, Later)
        assert held.FileWrapper.__module__ == NAME
        assert sys.modules[NAME] is not held
    assert importlib.import_module(NAME).FileWrapper is held.FileWrapper


def test_what_is_called_can_be_had_before() -> None:
    with put_off([Later(NAME, called=("guess_scheme",))]):
        from wsgiref.util import guess_scheme

        assert isinstance(sys.modules[NAME], Later)
    assert NAME not in sys.modules
    assert guess_scheme({"HTTPS": "on"}) == "https"
    assert not isinstance(sys.modules[NAME], Later)


def test_what_was_not_used_leaves_no_trace() -> None:
    import wsgiref

    with put_off([Later(NAME)]):
        assert NAME in sys.modules
    assert NAME not in sys.modules and not hasattr(wsgiref, "util")


def test_what_is_loaded_already_stays() -> None:
    before = importlib.import_module(NAME)
    with put_off([Later(NAME)]):
        assert sys.modules[NAME] is before


def test_there_is_none_for_what_is_not_installed() -> None:
    assert not list(Later.installed("there_is_no_such_module"))
    assert [each.__name__ for each in Later.installed(NAME)] == [NAME]
