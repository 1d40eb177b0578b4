"""pipelines.tokenizer: nothing is lost, nothing depends on chance, and transformers loads it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from pipelines import params, tokenizer
from pipelines.corpus import OUT, build, parquet
from registry.errors import InputError
from tests.pipelines.small_project import write_project


def trained(root: Path, **tokenizer_params: int) -> Tokenizer:
    settings = params.load(write_project(root) / "params.yaml")
    build.write(settings, root, root / OUT)
    settings = settings.model_copy(update={"tokenizer": settings.tokenizer.model_copy(update=tokenizer_params)})
    return tokenizer.train(settings, root / OUT / parquet.NAME)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(trained(folder / "project"), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def bpe(saved: Path) -> Tokenizer:
    return Tokenizer.from_file(str(saved / tokenizer.NAME))


@given(st.text(st.characters(codec="utf-8")))
def test_every_text_comes_back(bpe: Tokenizer, text: str) -> None:
    assert bpe.decode(bpe.encode(text).ids, skip_special_tokens=False) == text


@given(st.lists(st.sampled_from([" ", "\n", "\r", "\t", "a", "1", "_", "é", "\u00a0", "\x0b", "<|endoftext|>"])))
def test_every_kind_of_space_comes_back(bpe: Tokenizer, pieces: list[str]) -> None:
    text = "".join(pieces)
    assert bpe.decode(bpe.encode(text).ids, skip_special_tokens=False) == text


def test_transformers_loads_it_and_agrees(saved: Path, bpe: Tokenizer) -> None:
    loaded = AutoTokenizer.from_pretrained(saved)
    assert (loaded.eos_token, loaded.eos_token_id, len(loaded)) == ("<|endoftext|>", 0, 300)
    for text in ("def f(x):\n\treturn  x , 'n't'", "Straße, 日本, 🙂\0", " glass house\r\n\r\n"):
        assert loaded(text)["input_ids"] == bpe.encode(text).ids
        assert loaded.decode(loaded(text)["input_ids"]) == text


def test_merges_come_from_the_words_of_the_train_split(bpe: Tokenizer) -> None:
    assert bpe.encode(" frame house").tokens == ["Ġframe", "Ġhouse"]
    assert bpe.encode("1234").tokens == ["1", "2", "3", "4"]


def test_validation_is_not_looked_at(tmp_path: Path) -> None:
    root = write_project(tmp_path / "project")
    out = root / OUT
    settings = params.load(root / "params.yaml")
    build.write(settings, root, out)
    hidden = [text.text for text in parquet.read(out / parquet.NAME) if text.use == "validation"]
    assert hidden
    seen = "".join(tokenizer.sample(out / parquet.NAME, settings.seed, 1.0))
    assert all(text not in seen for text in hidden)


def test_a_sample_is_about_as_large_as_asked_for_and_always_the_same(tmp_path: Path) -> None:
    root = write_project(tmp_path / "project", documents=200)
    build.write(params.load(root / "params.yaml"), root, root / OUT)
    path = root / OUT / parquet.NAME
    half, again, other = (list(tokenizer.sample(path, seed, 0.5)) for seed in (7, 7, 8))
    assert half == again != other
    assert 50 < len(half) < 100  # half of about 150


def test_a_sample_too_poor_for_its_vocabulary_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not 50000"):
        trained(tmp_path / "one", vocabulary=50_000)


def test_a_corpus_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    settings = params.load(write_project(tmp_path / "project") / "params.yaml")
    with pytest.raises(InputError, match=r"data-manifest\.json"):
        tokenizer.train(settings, tmp_path / OUT / parquet.NAME)
