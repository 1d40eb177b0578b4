"""Who sent a request: any header is somebody, nobody, or declined."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.server.access import auth
from registry.server.access.tokens import Role, TokenStore, User
from registry.server.problems import Problem


@given(st.text(max_size=40))
def test_any_authorization_is_nobody_or_declined(tmp_path_factory: pytest.TempPathFactory, header: str) -> None:
    try:
        assert auth.user(TokenStore(tmp_path_factory.getbasetemp() / "none"), header) is None
    except Problem as problem:
        assert problem.status == 401


def test_git_sends_its_token_as_a_password(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    _, token = store.create("ci", Role.READ)
    header = "Basic " + base64.b64encode(f"anything:{token}".encode()).decode()
    assert auth.user(store, header) == User("ci", (), Role.READ)
    with pytest.raises(Problem):
        auth.user(store, "Basic not-base64")
