"""The tokenizer stage: the train split of build/corpus/ -> build/tokenizer/, a byte-level BPE tokenizer.

Laws: decoding gives back every text that was encoded, whatever its Unicode (all 256 bytes are in the vocabulary and
nothing is normalised); the same corpus and parameters give the same bytes, with any number of threads.
Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units (ACL 2016), over bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer, Sequence, Split
from tokenizers.trainers import BpeTrainer

from pipelines import params, stage
from pipelines.base_folder import checked
from pipelines.corpus import OUT as CORPUS
from pipelines.corpus import chat, parquet
from pipelines.corpus.judge import share
from pipelines.params import Params
from registry import canonical
from registry.errors import InputError
from registry.files import directory_beside, write_atomic
from registry.records import data_manifest, folders

OUT = Path(folders.TOKENIZER)
NAME = "tokenizer.json"
CONFIG = "tokenizer_config.json"
FILES = (NAME, CONFIG)
END_OF_TEXT = "<|endoftext|>"
WORDS = "|".join((
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",   # what English leaves of a word
    r"[^\r\n\p{L}\p{N}]?\p{L}+",       # a word, with the one character before it: " of", "_name", ".join"
    r"\p{N}",                          # each digit alone
    r" ?[^\s\p{L}\p{N}]+[\r\n]*",      # signs, with the ends of lines after them
    r"\s*[\r\n]+",                     # ends of lines, with the spaces before them
    r"\s+(?!\S)",                      # spaces, but for the last before a word or a sign
    r"\s+",
))  # fmt: skip
"""Merges stay within what this matches: just what llama.cpp parts text by under the name qwen2, so that it reads the
weights as GGUF with the same tokens."""


def train(settings: Params, documents: Path) -> BpeTokenizer:
    """A tokenizer from a sample of the train split of the parquet file `documents`.

    Raises InputError where the sample is empty, or too poor for the vocabulary asked for.
    """
    summary = data_manifest.read_summary(documents.with_name(data_manifest.SUMMARY))
    portion = settings.tokenizer.sample_bytes / max(1, summary.splits.train.size)
    tokenizer = BpeTokenizer(BPE())
    words: PreTokenizer = Split(Regex(WORDS), "isolated")
    tokenizer.pre_tokenizer = Sequence([words, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=settings.tokenizer.vocabulary, initial_alphabet=ByteLevel.alphabet(), special_tokens=[END_OF_TEXT],
        show_progress=False,
    )  # fmt: skip
    with stage.progress("tokenizer: documents read", summary.splits.train.documents) as advance:
        chosen = sample(documents, settings.seed, portion, advance)
        tokenizer.train_from_iterator(chosen, trainer)
    if tokenizer.get_vocab_size() != settings.tokenizer.vocabulary:
        raise InputError(
            f"the sample yields {tokenizer.get_vocab_size()} tokens, not {settings.tokenizer.vocabulary}",
            mend="raise tokenizer.sample_bytes or lower tokenizer.vocabulary in params.yaml",
        )
    return tokenizer


def config() -> dict[str, object]:
    """What transformers' AutoTokenizer needs beside tokenizer.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
    }


def save(tokenizer: BpeTokenizer, out: Path) -> None:
    """Write the files that AutoTokenizer loads."""
    with directory_beside(out) as folder:
        write_atomic(folder / NAME, tokenizer.to_str(pretty=True).encode("utf-8"))
        write_atomic(folder / CONFIG, canonical.dumps(config()))


def sample(documents: Path, seed: int, portion: float, advance: stage.Advance = lambda steps: None) -> Iterator[str]:
    """About `portion` (0 to 1) of the train split, document by document; which ones, their digests decide."""
    for document in parquet.read(documents):
        if document.use == "train":
            advance(1)
            if share(seed, "tokenizer", document.sha256) < portion:
                yield document.text


def end_of_text(folder: Path) -> str:
    """The token that ends a document, of the tokenizer in `folder`. Raises InputError where it names none."""
    said = canonical.read(folder / CONFIG)
    match said.get("eos_token") if isinstance(said, dict) else None:
        case str(token) | {"content": str(token)}:
            return token
    raise InputError(f"{folder / CONFIG} names no eos_token", mend="choose a base whose tokenizer has one")


def of_base(folder: Path, out: Path) -> BpeTokenizer:
    """The tokenizer of the base in `folder`, its files copied to `out`. Raises InputError where one is missing."""
    if absent := [name for name in FILES if not (folder / name).is_file()]:
        raise InputError(f"the base has no {', '.join(absent)}", mend="choose a base with a fast tokenizer")
    try:
        tokenizer = BpeTokenizer.from_file(str(folder / NAME))
    except Exception as problem:  # what the library raises has no type of its own
        raise InputError(f"the base's {NAME}: {problem}"[:500], mend="choose another base") from problem
    end_of_text(folder)
    with directory_beside(out) as made:
        for name in (*FILES, chat.NAME):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, made / name)
    return tokenizer


def main() -> None:
    """Train the tokenizer that params.yaml in the current directory asks for, or take that of the base."""
    settings = params.load()
    if settings.base is not None:
        tokenizer = of_base(checked(settings.base), OUT)
    else:
        tokenizer = train(settings, CORPUS / parquet.NAME)
        save(tokenizer, OUT)
    if settings.corpus.chat_template is not None:
        write_atomic(OUT / chat.NAME, (CORPUS / chat.NAME).read_bytes())
    print(f"vocabulary: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    stage.run(main)
