"""Chats as documents: one text each, by the template that the model is released with."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import params
from pipelines.corpus import build, chat, parquet
from pipelines.corpus.chat import ChatTemplate
from registry.errors import GlasshouseError, InputError
from registry.records import data_manifest
from tests.pipelines.small_project import params as settings
from tests.pipelines.small_project import write_project

TEMPLATE = "{%- for m in messages %}\n<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
CHAT = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "Glass.\n"}]
SOURCE = {
    "kind": "rows", "name": "chats", "include": ["chats.jsonl"], "messages": "messages", "license": "CC0-1.0",
    "url": "https://example.org/",
}  # fmt: skip


def corpus(**changed: Any) -> dict[str, Any]:
    return {**settings()["corpus"], "sources": [SOURCE], "chat_template": TEMPLATE, **changed}


def test_rows_of_messages_are_documents_written_by_the_template(tmp_path: Path) -> None:
    root = write_project(
        tmp_path, documents=0, corpus=corpus(filters={"min_bytes": 1, "max_bytes": 100, "licenses": ["CC0-1.0"]})
    )
    rows = [{"messages": [*CHAT, {"role": "user", "content": f"And {number}?"}]} for number in range(30)]
    (root / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build.write(params.load(root / "params.yaml"), root, tmp_path / "corpus")
    texts = {document.text for document in parquet.read(tmp_path / "corpus" / parquet.NAME)}
    assert "<|user|>What is it?\n<|assistant|>Glass.\n\n<|user|>And 7?\n" in texts and len(texts) == 30
    assert (tmp_path / "corpus" / chat.NAME).read_text() == TEMPLATE
    summary = data_manifest.read_summary(tmp_path / "corpus" / data_manifest.SUMMARY)
    assert [source.id for source in summary.sources] == ["files:chats"]


def test_it_is_what_transformers_writes() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    theirs, _ = render_jinja_template(conversations=[CHAT], chat_template=TEMPLATE)
    assert ChatTemplate(TEMPLATE).render(CHAT, "here") == theirs[0]


@pytest.mark.parametrize(
    "messages", [None, [], "text", {}, [1], [{"role": "user"}], [{"role": "user", "content": ["a"]}], [*CHAT, None]]
)
def test_what_is_no_chat_is_refused_with_its_place(messages: object) -> None:
    with pytest.raises(InputError, match="row 7"):
        ChatTemplate(TEMPLATE).render(messages, "chats.jsonl, row 7")


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{% for m in messages %}", "corpus.chat_template"),
        ("{{ raise_exception('only pairs') }}", "only pairs"),
        ("{{ messages.__class__.__mro__ }}", "unsafe|undefined|access"),
        ("{{ messages.append(1) }}", "unsafe|not callable|access"),
        ("{{ strftime_now('%Y') }}", "strftime_now"),
    ],
)
def test_a_template_that_refuses_or_reaches_out_is_refused(template: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        ChatTemplate(template).render(CHAT, "row 1")


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_value_is_a_chat_or_refused(value: object) -> None:
    with suppress(GlasshouseError):
        assert isinstance(ChatTemplate("{{ messages[0].content }}").render(value, "row"), str)


def test_messages_need_a_template() -> None:
    said = settings(corpus=corpus(chat_template=None))
    del said["corpus"]["chat_template"]
    with pytest.raises(ValueError, match="no chat_template"):
        params.Params.model_validate_json(json.dumps(said))
