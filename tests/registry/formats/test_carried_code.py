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


def test_templates_that_take_too_long_to_look_at_are_told_without_a_look(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ a }}" * 100_000)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": ["' + '","'.join(["{{ a }}"] * 100_000) + '"]}')
    found = list(carried(tmp_path, ["chat_template.jinja", "tokenizer_config.json"]))
    assert len(found) == 2 and all("more than" in one.words for one in found)
