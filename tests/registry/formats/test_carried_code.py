"""registry.formats.carried_code: what a chat template fetches."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.formats.carried_code import carried


@pytest.mark.parametrize(
    ("attribute", "told"),
    [("'role'", False), ("'a.b'", False), ("0", False), ("'__class__'", True), ("'a.__class__'", True), ("a ~ b", True),
     ("none", True)],
)  # fmt: skip
def test_what_a_filter_fetches_by_a_plain_name_is_not_told(tmp_path: Path, attribute: str, told: bool) -> None:
    (tmp_path / "chat_template.jinja").write_text(f"{{{{ messages | map(attribute={attribute}) | join }}}}")
    assert bool(list(carried(tmp_path, ["chat_template.jinja"]))) is told
