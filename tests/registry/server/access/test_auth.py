"""Who sent a request: any header is somebody, nobody, or declined."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.server.access import auth
from registry.server.access.accounts import Accounts
from registry.server.access.rights import User
from registry.server.access.tokens import Role
from registry.server.problems import Problem


@given(st.text(max_size=40))
def test_any_authorization_is_nobody_or_declined(tmp_path_factory: pytest.TempPathFactory, header: str) -> None:
    try:
        assert auth.user(Accounts.of(tmp_path_factory.getbasetemp() / "none"), header) is None
    except Problem as problem:
        assert problem.status == 401


def test_git_sends_its_token_as_a_password(tmp_path: Path) -> None:
    accounts = Accounts.of(tmp_path)
    _, token = accounts.issue("ci", Role.READ)
    header = "Basic " + base64.b64encode(f"anything:{token}".encode()).decode()
    assert auth.user(accounts, header) == User("ci", {}, Role.READ)
    with pytest.raises(Problem):
        auth.user(accounts, "Basic not-base64")
