"""registry.formats.carried_code: what a chat template fetches, and what files of settings name."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats import carried_code, settings, settings_places
from registry.formats.carried_code import MAX_SMALL, carried

EVIL = "{{ ''.__class__.__mro__ }}"
MAP = {"auto_map": {"AutoModel": "evil/repo--m.X"}}
NAMED: tuple[tuple[str, Any], ...] = (
    ("config.json", {"text_config": MAP}),
    ("config.4.0.0.json", MAP),
    ("image_processor_config.json", [[[[{"a": MAP}]]]]),
    ("encoder/config.json", {"other": "evil/repo--m.X"}),
    ("config.json", {"attn_implementation": "evil/kernel"}),
    ("config.json", {"text_config": {"_attn_implementation": {"": "evil/kernel@main:f"}}}),
    ("config.json", {"_experts_implementation_internal": "evil/kernel"}),
    ("chat_template.json", {"chat_template": EVIL}),
    ("any.json", {"a": [{"chat_template": [{"name": "x", "template": EVIL}]}]}),
    ("modules.json", [{"idx": 0, "name": "0", "path": "", "type": "torch.serialization"}]),
    ("router_config.json", {"types": {"query": "os.path"}}),
    ("2_Dense/config.json", {"activation_function": "torch.hub.list"}),
    ("model_index.json", {"_class_name": "P", "unet": ["os", "system"]}),
    ("model_index.json", {"_class_name": ["pipeline", "P"]}),
    ("model_index.json", {"custom_pipelines": "evil/pipe--x"}),
    ("adapter_config.json", {"auto_mapping": {"base_model_class": "system", "parent_library": "os"}}),
    ("model_config.json", {"a": {"_target_": "os.system", "command": "id"}}),
    ("model.json", {"model": {"target": "os.system", "params": {}}}),
    ("pipeline.json", {"components": {"a": {"type": "os.system", "init_parameters": {}}}}),
    ("mcp.json", {"mcpServers": {"x": {"command": "bash"}}}),
    ("adapter_config.json", {"megatron_config": {}, "megatron_core": "evil"}),
    ("adapter_config.json", {"peft_type": "SHADOW", "shadow_model": "gpt2"}),
    ("adapter_config.json", {"corda_config": {"covariance_file": "x.pt"}}),
    ("modular_model_index.json", {"_class_name": "P", "unet": ["os", "system", {}]}),
    ("modular_model_index.json", {"_class_name": "P", "unet": ["diffusers", "U", {"repo": "evil/x"}]}),
    ("open_clip_config.json", {"model_cfg": {"text_cfg": {"hf_model_name": "evil/x"}}}),
    ("config.json", {"text_model_id": "evil/x"}),
    ("config.json", {"vision_tower_aux_list": ["evil/x"]}),
    ("config.json", {"speculative_config": {"model": "https://evil.example/x"}}),
    ("config.json", {"audio_encoder": "/home/me/x"}),
    ("generation_config.json", {"assistant_model": "evil/draft"}),
    ("config.json", {"module": "keras.utils", "class_name": "get_file", "config": {}}),
    ("config.json", {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}}),
    ("recipe.json", {"tokenizer": {"_component_": "os.system"}}),
    ("state.json", {"py/reduce": [{"py/type": "os.system"}]}),
    ("config.json", {"layers": [{"module": "keras.layers", "class_name": "Lambda", "config": {}}]}),
    ("config.json", {"module": "os", "class_name": "system", "config": {}}),
    ("model.safetensors.index.json", {"weight_map": {"a": "model-00001-of-00002.safetensors"}}),
    ("config.json", {"backbone": "evil/weights"}),
    ("config.json", {"backbone": "resnet50", "use_pretrained_backbone": True}),
    ("config.json", {"mm_vision_tower": "evil/clip"}),
    ("processor_config.json", {"audio_tokenizer": {"audio_tokenizer_name_or_path": "evil/codec"}}),
    ("processor_config.json", {"speaker_embeddings": {"repo_or_path": "/home/me/x"}}),
    ("config.json", {"configuration_files": ["provenance/config.4.0.0.json"]}),
    ("config.json", {"configuration_files": {"../config.4.0.0.json": 1}}),
    ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.4.0.0.json", "tokenizer.json"]}),
    ("adapter_config.json", {"peft_type": "XLORA", "adapters": {"0": "evil/adapter"}}),
)
HARMLESS: tuple[tuple[str, Any], ...] = (
    ("config.json", {"attn_implementation": "sdpa", "model_type": "llama", "activation_function": "gelu_new"}),
    ("config.json", {"auto_map": None, "class_name": "a", "module": None, "_name_or_path": "org/base"}),
    ("config.json", {"backbone": "resnet50", "use_pretrained_backbone": False, "codec_name_or_path": "./codec"}),
    ("config.json", {"configuration_files": ["config.json"], "fast_tokenizer_files": ["tokenizer.json"]}),
    ("chat_template.json", {"chat_template": "{{ messages[0]['content'] }}"}),
    ("modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]),
    ("2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.Tanh"}),
    ("model_index.json", {"_class_name": "P", "unet": ["diffusers", "U"], "te": ["transformers", "C"],
                          "x": [None, None], "checker": ["stable_diffusion", "S"], "force_zeros": True}),
    ("adapter_config.json", {"auto_mapping": {"parent_library": "transformers.models.bert.modeling_bert"}}),
    ("config.json", {"layers": [{"module": "keras.layers", "class_name": "Dense", "config": {}}]}),
    ("model.safetensors.index.json", {"weight_map": {"a": "model.safetensors", "b": "./model.safetensors"}}),
    ("config.json", {"layers": [{"module": "keras.src.layers.core.dense", "class_name": "Dense", "config": {}}]}),
    ("config.json", {"model": {"type": "BPE"}, "tokenizer": None, "a": {"type": "torch.float16"}, "encoder": "bert"}),
    ("adapter_config.json", {"megatron_core": "megatron.core", "peft_type": "LORA", "base_model": "org/base"}),
    ("results.json", {"model": "org/base", "model_name": "org/base"}),
    ("tokenizer_config.json", {"tokenizer_file": "/there/x.json", "special_tokens_map_file": "/there/y.json"}),
    ("vocab.json", {"auto_map": 1, "chat_template": 2, "weight_map": 3, "_target_": 4, "py/": 5}),
)  # fmt: skip
GONE = ("../x.safetensors", "/etc/x", "C:\\x", "a/../../x", "")


def told(root: Path, path: str, value: Any, *others: str) -> list[tuple[str, bool]]:
    """(words, refused) of each thing that is told of settings `value` at `path`, with `others` beside them."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(json.dumps(value))
    return [(one.words, one.refused) for one in carried(root, [path, *others])]


@pytest.mark.parametrize(("path", "value"), NAMED)
def test_what_settings_name_that_a_loader_would_run_is_told(tmp_path: Path, path: str, value: Any) -> None:
    found = told(tmp_path, path, value)
    assert found and not any(refused for _, refused in found)


@pytest.mark.parametrize(("path", "value"), HARMLESS)
def test_what_lies_in_the_library_that_reads_it_is_not(tmp_path: Path, path: str, value: Any) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert told(tmp_path, path, value, "model.safetensors") == []


@pytest.mark.parametrize("data", [
    b'{"\\u0061uto_map": {"AutoModel": "evil/repo--m.X"}}', json.dumps(MAP).encode(),
    json.dumps([MAP], indent=30).encode(), json.dumps(MAP).replace(":", " " * 500 + ":" + " " * 500, 1).encode(),
])  # fmt: skip
def test_a_large_file_of_any_name_and_spelling_hides_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(b'["' + b"x" * MAX_SMALL + b'", ' + data + b"]")
    ((words, _),) = [(one.words, one.refused) for one in carried(tmp_path, ["a.json"])]
    assert "evil/repo" in words


@pytest.mark.parametrize(("path", "value"), [
    ("open_clip_config.json", {"hf_model_name": "evil/x"}), ("modular_model_index.json", {"u": ["os", "system", {}]}),
    ("model.json", {"class_name": "Lambda", "config": {}}), ("any.json", {"codec_name_or_path": "evil/x"}),
])  # fmt: skip
def test_settings_hide_nothing_by_their_length(tmp_path: Path, path: str, value: dict[str, Any]) -> None:
    assert told(tmp_path, path, {"pad": "x" * MAX_SMALL, **value})


@pytest.mark.parametrize("name", GONE)
@pytest.mark.parametrize("key", ["weight_map", "transformers_weights"])
def test_tensors_from_outside_the_release_are_refused(tmp_path: Path, name: str, key: str) -> None:
    value = {key: {"w": name} if key == "weight_map" else name}
    ((words, refused),) = told(tmp_path, "sub/config.json", value)
    assert "takes tensors from" in words and refused


@pytest.mark.parametrize(("path", "value"), [
    ("modules.json", [{"path": "../x", "type": "sentence_transformers.models.Transformer"}]),
    ("modules.json", [{"path": "/x", "type": "sentence_transformers.models.Transformer"}]),
    ("router_config.json", {"types": {"../x": "sentence_transformers.models.Transformer"}}),
    ("model_index.json", {"_class_name": "P", "../x": ["diffusers", "U"]}),
    ("modular_model_index.json", {"_class_name": "P", "/x": ["diffusers", "U", {}]}),
    ("ndarray-cache.json", {"records": [{"dataPath": "../x.bin"}]}),
    ("model.json", {"weightsManifest": [{"paths": ["https://evil.example/x.bin"]}]}),
])  # fmt: skip
def test_settings_that_lead_out_of_the_release_are_refused(tmp_path: Path, path: str, value: Any) -> None:
    ((_, refused),) = told(tmp_path, path, value)
    assert refused


@pytest.mark.parametrize("text", [
    "a: !!python/object/apply:os.system [id]", "a: !<tag:yaml.org,2002:python/none> x",
    "%TAG !e! tag:x\n---\na: !e!b c",
    "a: {_target_: os.system}", 'a: {"\\x5ftarget_": os.system}', "class_path: os.system", "- !Ref x",
    "{'py/object': a}", '{"a":!!python/object/apply:os.system [id]}', "[1,!!python/none ]", "a: &x !!python/none x",
    "a:\t!!python/none x", f"a:{' ' * 99}!!python/none x", '"_tar\\\n  get_": os.system', '"py\\/object": a',
    "model:\n  target: os.system", "'target' : 'os.system'", "_component_: os.system",
    "a:\n  type: os.system", "a: \"{{ ''.__class__ }}\"",
])  # fmt: skip
def test_yaml_that_has_a_reader_call_something_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert len(list(carried(tmp_path, ["a.yaml"]))) == 1


def test_yaml_that_says_no_more_than_it_is_told_is_not(tmp_path: Path) -> None:
    text = 'names: {0: cat, 1: dog}\nnote: Hello, world! That is it.\npath: a/b\ntarget: label\nsaid: "wow !"\n'
    (tmp_path / "a.yml").write_text(text)
    picture = "<path d='M0 0' clip-path='url(#a)'/><use xlink:href='#b'/><image href='data:image/png;base64,AA=='/>"
    (tmp_path / "a.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'><title>a&#45;b</title>{picture}</svg>")
    assert not list(carried(tmp_path, ["a.yml", "a.svg"]))


@pytest.mark.parametrize("inner", [
    "<image href='http://evil.example/x'/>", "<a href='java&#115;cript:x()'>x</a>", "<style>@import 'x'</style>",
    "<set attributeName=href to='javascript&colon;x()'/>", "<iframe srcdoc='x'/>", "<g/onclick=x()>",
    "<rect style='fill:url(http://evil.example/x)'/>", "<image href='data:image/svg+xml,x'/>", "< script>x()</script>",
])  # fmt: skip
def test_a_picture_that_runs_or_fetches_something_is_told(tmp_path: Path, inner: str) -> None:
    (tmp_path / "a.svg").write_text(f"<svg>{inner}</svg>")
    assert len(list(carried(tmp_path, ["a.svg"]))) == 1


@pytest.mark.parametrize(("path", "text"), [
    ("config.json", '{"auto_map": {"A": "evil/x--m.X"}, "auto_map": null}'),
    ("any.json", '[{"auto_map": {"A": "evil/x--m.X"}, "auto_map": null}]'),
    ("model.safetensors.index.json", '{"weight_map": {"a": "../x.safetensors"}, "weight_map": {}}'),
])  # fmt: skip
def test_a_key_that_hides_another_is_told(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / path).write_text(text)
    ((words,),) = [[one.words for one in carried(tmp_path, [path])]]
    assert "stands twice" in words


@pytest.mark.parametrize(("path", "end"), [
    ("a.yaml", "\na: !!python/none x"), ("a.svg", "<svg onload='x()'/>"), ("vectors.json", json.dumps(MAP)),
])  # fmt: skip
def test_what_lies_beyond_what_is_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, end: str
) -> None:
    monkeypatch.setattr(carried_code, "MAX_CONFIG", 1000)
    (tmp_path / path).write_text(" " * 1001 + end)
    assert "cannot be told" in next(carried(tmp_path, [path])).words


def test_settings_as_the_libraries_write_them_are_not_told(tmp_path: Path) -> None:
    """One in a hundred of transformers' families writes its settings, and so does every method of PEFT."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    families = sorted(CONFIG_MAPPING.keys())[::100]
    made = {name: CONFIG_MAPPING[name] for name in families} | PEFT_TYPE_TO_CONFIG_MAPPING
    written = 0
    for name, config in made.items():
        with suppress(Exception):  # some cannot be made without more
            config().save_pretrained(tmp_path / str(name))
            written += 1
    paths = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")]
    assert written > 30 and list(carried(tmp_path, paths)) == []


def test_a_word_of_a_vocabulary_may_stand_twice(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 1, "a": 2}')
    assert not list(carried(tmp_path, ["vocab.json"]))


@pytest.mark.parametrize("path", [
    ".vscode/tasks.json", ".github/workflows/a.yml", ".envrc", ".dvc/config", "Makefile", "Modelfile",
    "sub/package.json", "requirements.txt", "CMakeLists.txt", "Taskfile.yml",
    "dvc.yaml", "a.ipynb", "a.rb", "index.html", "a.svg",
])  # fmt: skip
def test_what_tools_and_browsers_run_is_told(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("{}<svg onload='x()'/>")
    assert len(list(carried(tmp_path, [path]))) == 1


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.text()
                | st.sampled_from(
                    (
                        "auto_map",
                        "type",
                        "types",
                        "path",
                        "module",
                        "class_name",
                        "config",
                        "weight_map",
                        "dataPath",
                        "weightsManifest",
                        "paths",
                        "chat_template",
                        "_class_name",
                        "tokenizer",
                        "megatron_core",
                    )
                ),
                inner,
            )
        ),
    )
)
def test_settings_of_any_shape_are_answered(value: Any) -> None:
    for name in ("config.json", settings.INDEX, settings.MODULES, settings.ROUTER):
        told = (*settings.named(value, name), *settings_places.elsewhere(value, name))
        assert all(isinstance(words, str) for words in (*told, *settings_places.folders(value, name)))
    assert all(isinstance(text, str) for text in (*settings.templates(value), *settings_places.weights(value)))


@pytest.mark.parametrize(
    ("attribute", "told"),
    [("'role'", False), ("'a.b'", False), ("0", False), ("'__class__'", True), ("'a.__class__'", True), ("a ~ b", True),
     ("none", True)],
)  # fmt: skip
def test_what_a_filter_fetches_by_a_plain_name_is_not_told(tmp_path: Path, attribute: str, told: bool) -> None:
    (tmp_path / "chat_template.jinja").write_text(f"{{{{ messages | map(attribute={attribute}) | join }}}}")
    assert bool(list(carried(tmp_path, ["chat_template.jinja"]))) is told


@pytest.mark.parametrize(
    "text", ["{{ '{0.__class__}'.format(a) }}", "{{ '{0[_x]}'.format(a) }}", "{{ 'a__class__b' }}"]
)
def test_a_text_that_is_formatted_hides_no_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "chat_template.jinja").write_text(text)
    assert list(carried(tmp_path, ["chat_template.jinja"]))


@pytest.mark.parametrize(("innermost", "told"), [("a", False), ("a.__class__", True)])
def test_a_template_is_looked_at_to_its_innermost_part(tmp_path: Path, innermost: str, told: bool) -> None:
    (tmp_path / "chat_template.jinja").write_text(f"{{{{ {innermost}{' | trim' * 5000} }}}}")
    assert bool(list(carried(tmp_path, ["chat_template.jinja"]))) is told


def test_templates_that_take_too_long_to_look_at_are_told_without_a_look(tmp_path: Path) -> None:
    names = [f"{number}.jinja" for number in range(40)]
    for name in names:
        (tmp_path / name).write_text("{{ a }}" * 5_000)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": ["' + '","'.join(["{{ a }}"] * 100_000) + '"]}')
    found = {one.path: one.words for one in carried(tmp_path, ["tokenizer_config.json", *names])}
    assert (
        "tokenizer_config.json" in found and len(found) > 20 and all("more than" in words for words in found.values())
    )
