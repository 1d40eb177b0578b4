"""The weights as GGUF: what the library of the format and `transformers` read there is what was released."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import tokenizer as stage
from registry import tensors
from registry.digest import sha256_file
from registry.errors import DigestMismatch, InputError, Refused, Unavailable
from registry.files import write_atomic
from registry.hub import metadata
from registry.manifest import Manifest
from registry.records import layout
from registry.release import companions, gguf_file, gguf_source
from registry.release.companions import Made
from registry.release.config import ReleaseConfig
from registry.release.gguf_file import TYPES, Label, Type
from tests.conftest import SMALL
from tests.registry.release.test_companions import SOURCE

LABEL = Label("A small model", "apache-2.0", "hf://glasshouse/small")
WIDTH, INNER, HEADS, KEYS, CONTEXT = 64, 40, 4, 2, 32
FARTHEST: dict[Type, float] = {"F32": 0.0, "F16": 0.002, "BF16": 0.02, "Q8_0": 0.05}
"""How far a logit may be from the release's, as a share of the largest logit."""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama that learned nothing, with a tokenizer of the tokenizer stage's kind, as the export stage writes them."""
    import torch
    from tokenizers import Regex, Tokenizer
    from tokenizers.decoders import ByteLevel as Decoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer, Sequence, Split
    from tokenizers.trainers import BpeTrainer
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    tokenizer = Tokenizer(BPE())
    words: PreTokenizer = Split(Regex(stage.WORDS), "isolated")
    tokenizer.pre_tokenizer = Sequence([words, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = Decoder()
    trainer = BpeTrainer(
        vocab_size=400, initial_alphabet=ByteLevel.alphabet(), special_tokens=[stage.END_OF_TEXT], show_progress=False
    )
    tokenizer.train_from_iterator([Path(__file__).read_text()], trainer)
    stage.save(tokenizer, folder)
    config = LlamaConfig(
        vocab_size=403, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=KEYS, max_position_embeddings=CONTEXT, tie_word_embeddings=True, bos_token_id=0,
        eos_token_id=0, initializer_range=0.1, rope_parameters={"rope_theta": 5000.0, "rope_type": "default"},
    )  # fmt: skip
    torch.manual_seed(1)
    made = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
    made.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return shutil.copytree(model, tmp_path / "model")


def written(model: Path, folder: Path, kind: Type = "F32", label: Label = LABEL) -> Path:
    path = folder / f"{kind}.gguf"
    gguf_file.write(model, path, kind, label)
    return path


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("kind", TYPES)
def test_transformers_computes_with_it_what_it_does_with_the_release(model: Path, tmp_path: Path, kind: Type) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    path = written(model, tmp_path, kind)
    rows = torch.arange(2 * CONTEXT).reshape(2, CONTEXT) % 400
    with torch.no_grad():
        here = AutoModelForCausalLM.from_pretrained(model)(rows).logits
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
        there = loaded(rows).logits
    assert float((here - there).abs().max() / here.abs().max()) <= FARTHEST[kind]
    assert loaded.config.tie_word_embeddings and loaded.config.eos_token_id == 0


def test_whole_numbers_of_other_types_and_untied_ends_are_held_too(copy: Path, tmp_path: Path) -> None:
    """A BF16 model in two files, with a matrix of its own at its end."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(copy, dtype=torch.bfloat16, tie_word_embeddings=False)
    with torch.no_grad():
        loaded.lm_head.weight.copy_(torch.linspace(-1, 1, 403 * WIDTH).reshape(403, WIDTH))
    (copy / "model.safetensors").unlink()
    loaded.save_pretrained(copy, max_shard_size="60KB")
    assert len(list(copy.glob("*.safetensors"))) > 1
    path = written(copy, tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.bfloat16)
    state = loaded.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in again.state_dict().items())


def test_the_library_s_own_reader_finds_every_tensor_and_what_the_file_is(model: Path, tmp_path: Path) -> None:
    from gguf import GGMLQuantizationType, GGUFReader

    reader = GGUFReader(written(model, tmp_path, "Q8_0"))
    says = {name: field.contents() for name, field in reader.fields.items()}
    assert says["general.architecture"] == "llama" and says["general.license"] == "apache-2.0"
    assert says["general.source.repo_url"] == "hf://glasshouse/small" and says["general.name"] == "A small model"
    assert (says["llama.context_length"], says["llama.rope.freq_base"]) == (CONTEXT, 5000.0)
    assert (says["llama.attention.head_count"], says["llama.attention.head_count_kv"]) == (HEADS, KEYS)
    assert says["tokenizer.ggml.tokens"][400:] == ["[PAD400]", "[PAD401]", "[PAD402]"]
    assert says["tokenizer.ggml.token_type"][0] == 3 and says["tokenizer.ggml.token_type"][-1] == 5
    assert says["tokenizer.ggml.pre"] == "qwen2" and len(says["tokenizer.ggml.merges"]) == 400 - 257
    kinds = {tensor.name: tensor.tensor_type for tensor in reader.tensors}
    assert len(kinds) == 2 + 2 * 9
    assert kinds["blk.0.attn_norm.weight"] == GGMLQuantizationType.F32
    assert kinds["blk.1.attn_q.weight"] == kinds["token_embd.weight"] == GGMLQuantizationType.Q8_0
    assert kinds["blk.1.ffn_down.weight"] == GGMLQuantizationType.F16  # rows of 40 are no whole blocks


@pytest.mark.parametrize("kind", TYPES)
def test_the_same_weights_give_the_same_bytes(model: Path, copy: Path, tmp_path: Path, kind: Type) -> None:
    """Also where their file is laid out in another order."""
    path = copy / "model.safetensors"
    rows = tensors.read_header(path)
    data = path.read_bytes()
    header, end = {}, 0
    for row in reversed(rows):
        size = row.end - row.start
        header[row.name] = {"dtype": row.dtype, "shape": list(row.shape), "data_offsets": [end, end + size]}
        end += size
    head = json.dumps(header).encode()
    body = b"".join(data[row.start : row.end] for row in reversed(rows))
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)
    (tmp_path / "again").mkdir()
    assert sha256_file(written(model, tmp_path, kind)) == sha256_file(written(copy, tmp_path / "again", kind))


def test_the_tokenizer_beside_it_is_the_release_s_and_the_one_in_it_knows_the_same_tokens(
    model: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    path = written(model, tmp_path)
    released = AutoTokenizer.from_pretrained(model)
    inside = AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)
    for text in ("a glass house", "def main(", f"one{stage.END_OF_TEXT}two"):
        assert inside(text)["input_ids"] == released(text)["input_ids"]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model / name, tmp_path / name)
    beside = AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)
    text = Path(__file__).read_text()
    assert beside(text)["input_ids"] == released(text)["input_ids"]


SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
QWEN2, LLAMA = sorted(gguf_source.WORDS, key=len)


@pytest.mark.parametrize(
    ("pre_tokenizer", "words"),
    [
        ({"type": "Sequence", "pretokenizers": [SPLIT | {"pattern": {"Regex": QWEN2}}, BYTES]}, "qwen2"),
        ({"type": "Sequence", "pretokenizers": [SPLIT | {"pattern": {"Regex": LLAMA}}, BYTES]}, "llama-bpe"),
        ({"type": "Sequence", "pretokenizers": [SPLIT | {"pattern": {"String": LLAMA}}, BYTES]}, None),
        ({"type": "Sequence", "pretokenizers": [SPLIT | {"pattern": {"Regex": LLAMA}, "invert": True}, BYTES]}, None),
        (BYTES | {"use_regex": True}, "gpt-2"),
        (BYTES | {"use_regex": True, "add_prefix_space": True}, None),
        (BYTES, None),
    ],
)
def test_only_a_way_to_part_words_that_llama_cpp_knows_is_named(
    copy: Path, tmp_path: Path, pre_tokenizer: dict[str, Any], words: str | None
) -> None:
    from gguf import GGUFReader

    changed(copy / "tokenizer.json", lambda document: document.update(pre_tokenizer=pre_tokenizer))
    assert gguf_source.vocabulary(copy, 403).words == words
    near = Label("A small model", "apache-2.0", "hf://glasshouse/small", "tekken")
    field = GGUFReader(written(copy, tmp_path, label=near)).fields["tokenizer.ggml.pre"]
    assert field.contents() == (words or "tekken")
    assert ("tokenizer.ggml.pre" in GGUFReader(written(copy, tmp_path)).fields) == (words is not None)


def nothing(document: dict[str, Any]) -> None:
    document.clear()


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("config.json", lambda d: d.update(model_type="mistral"), "model_type: Input should be 'llama', found 'mis"),
        ("config.json", lambda d: d.update(attention_bias=True), "attention_bias: Input should be False, found 'True'"),
        ("config.json", lambda d: d.update(hidden_act="gelu"), "hidden_act: Input should be 'silu', found 'gelu'"),
        ("config.json", lambda d: d["rope_parameters"].update(rope_type="x"), "rope_type: Input should be 'default'"),
        ("config.json", lambda d: (d.pop("rope_parameters"), d.update(rope_scaling={"rope_type": "x"})), "found 'x'"),
        ("config.json", lambda d: d.update(head_dim=7), "head_dim"),
        ("config.json", lambda d: d.update(vocab_size=2**40), "vocab_size"),
        ("config.json", nothing, "model_type: Field required"),
        ("config.json", lambda d: d.update(hidden_size=32), "model.embed_tokens.weight as (403, 64)"),
        ("config.json", lambda d: d.update(num_hidden_layers=1), "model.layers.1"),
        ("config.json", lambda d: d.update(num_hidden_layers=3), "model.layers.2"),
        ("config.json", lambda d: d.update(tie_word_embeddings=False), "lm_head.weight as None"),
        ("tokenizer.json", lambda d: d["model"].update(type="Unigram"), "not a byte-level BPE"),
        ("tokenizer.json", lambda d: d.update(pre_tokenizer={"type": "Metaspace"}), "not a byte-level BPE"),
        ("tokenizer.json", lambda d: d.update(pre_tokenizer=None), "not one that the tokenizers library writes"),
        ("tokenizer.json", lambda d: d["model"].update(vocab=[1]), "not one that the tokenizers library writes"),
        ("tokenizer.json", lambda d: d["model"]["vocab"].update(x=403), "beyond the 403"),
        ("tokenizer.json", lambda d: d["model"].update(merges=[["a"]]), "do not go together"),
        ("tokenizer.json", nothing, "not one that the tokenizers library writes"),
    ],
)  # fmt: skip
def test_what_a_gguf_file_cannot_say_is_refused_in_one_sentence(
    copy: Path, tmp_path: Path, file: str, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    changed(copy / file, change)
    with pytest.raises(InputError) as refused:
        written(copy, tmp_path)
    assert says in refused.value.message and "\n" not in refused.value.message


def test_a_number_that_a_type_cannot_hold_is_refused(copy: Path, tmp_path: Path) -> None:
    path = copy / "model.safetensors"
    data = bytearray(path.read_bytes())
    (row,) = (row for row in tensors.read_header(path) if row.name.endswith("1.mlp.down_proj.weight"))
    data[row.start : row.start + 4] = np.float32(1e6).tobytes()
    path.write_bytes(data)
    with pytest.raises(Refused, match=r"1\.mlp\.down_proj\.weight holds a number that F16 cannot say"):
        written(copy, tmp_path, "F16")
    written(copy, tmp_path, "BF16")
    data[row.start : row.start + 4] = np.float32("nan").tobytes()
    path.write_bytes(data)
    with pytest.raises(Refused, match="F32 cannot say"):
        written(copy, tmp_path, "F32")


def test_without_the_library_it_is_said_how_to_have_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(Unavailable, match="not installed") as refused:
        written(model, tmp_path)
    assert "glasshouse[gguf]" in refused.value.mend


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 500) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS_OF_TOKENIZER = st.sampled_from(("model", "pre_tokenizer", "added_tokens", "normalizer"))


@given(KEYS_OF_TOKENIZER, JSON)
def test_any_tokenizer_is_read_or_refused(model: Path, key: str, value: Any) -> None:
    document = json.loads((model / "tokenizer.json").read_text()) | {key: value}
    try:
        gguf_source.vocabulary_of(document, 403)
    except InputError as refused:
        assert refused.mend


def config(**asked: object) -> ReleaseConfig:
    row = {"kind": "gguf", "repo": "glasshouse/small-GGUF", **asked}
    return ReleaseConfig.model_validate(SMALL["release"] | {"companions": [row], "output": "draft"})


def test_the_companion_is_laid_out_as_it_was_planned(copy: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    (copy / layout.LICENSE).write_text("Apache License 2.0\n")
    copy.rename(tmp_path / "draft")
    (made,) = companions.planned(tmp_path, config(types=["F32", "Q8_0"]), "1.0.0", SOURCE)
    assert made.manifest.by_path().keys() == {
        "README.md", "LICENSE", ".gitattributes", "tokenizer.json", "tokenizer_config.json", "small-F32.gguf",
        "small-Q8_0.gguf",
    }  # fmt: skip
    made.write(tmp_path / "out")
    assert Manifest.of_directory(tmp_path / "out") == made.manifest
    card = (tmp_path / "out" / "README.md").read_text()
    said: Any = ModelCard(card).data
    assert (said.base_model, said.license, said.library_name) == ("glasshouse/small", "apache-2.0", "gguf")
    assert said.base_model_relation == "quantized" and metadata.check_card(card.encode())
    digests = (sha256_file(tmp_path / "draft/model.safetensors"), sha256_file(tmp_path / "out/small-Q8_0.gguf"))
    assert all(digest in card for digest in digests)
    assert "hf://glasshouse/small@v1.0.0" in card and SOURCE.commit in card
    assert "llama.cpp knows the tokenizer's way to part text into words, as `qwen2`" in card


def test_the_card_says_where_llama_cpp_reads_text_otherwise(copy: Path, tmp_path: Path) -> None:
    changed(copy / "tokenizer.json", lambda document: document.update(pre_tokenizer=BYTES))
    (copy / layout.LICENSE).write_text("Apache License 2.0\n")
    copy.rename(tmp_path / "draft")
    for settings, said in ((config(), b"takes its own"), (config(pre_tokenizer="qwen2"), b"`qwen2`, which is near")):
        (made,) = companions.planned(tmp_path, settings, "1.0.0", SOURCE)
        assert said in bytes(made.files["README.md"])  # type: ignore[arg-type]


def test_what_comes_out_otherwise_the_second_time_is_not_laid_out(tmp_path: Path) -> None:
    made = Made.once(lambda path: write_atomic(path, b"one"))
    other = Made(lambda path: write_atomic(path, b"two"), made.size, made.sha256)
    with pytest.raises(DigestMismatch):
        other.write(tmp_path / "x")
