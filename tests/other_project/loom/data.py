"""From texts to tokens: `python -m loom.data gather`, then `python -m loom.data spin`."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from registry.digest import sha256_bytes, sha256_file
from registry.records import data_manifest, tokens
from registry.records.data_manifest import DataSource
from registry.records.data_row import Row, Use

TEXTS = Path("texts")
YARN = Path("out/yarn")
SPOOLS = Path("out/spools")
SOURCE = "files:texts"


def gather() -> None:
    """texts -> out/yarn: the manifest of the data."""
    data_manifest.write(YARN, _rows(), [DataSource(id=SOURCE, kind="files", license=None)])


def spin() -> None:
    """out/yarn -> out/spools: a token for each word, and the words."""
    rows = [row for row in data_manifest.iter_rows(YARN / data_manifest.ROWS) if row.use != "excluded"]
    texts = {row: Path(row.path).read_text().split() for row in rows}
    words = sorted({word for text in texts.values() for word in text})
    SPOOLS.mkdir(parents=True, exist_ok=True)
    (SPOOLS / "words.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    sizes, files = {}, []
    for use in tokens.SPLITS:
        mine = [row for row in rows if row.use == use]
        numbers = [words.index(word) for row in mine for word in texts[row]]
        ends, index = 0, b""
        for row in mine:
            ends += len(texts[row])
            index += tokens.INDEX_ROW.pack(ends, bytes.fromhex(row.sha256))
        sizes[use] = tokens.Split(tokens=len(numbers), documents=len(mine), size=sum(row.size for row in mine))
        for name, data in ((f"{use}-00000.bin", struct.pack(f"<{len(numbers)}H", *numbers)), (f"{use}.index", index)):
            (SPOOLS / name).write_bytes(data)
            files.append(tokens.TokenFile(path=name, sha256=sha256_bytes(data), size=len(data)))
    summary = data_manifest.read_summary(YARN / data_manifest.SUMMARY)
    record = tokens.Tokens(
        data_manifest=tokens.DataDigests(root=summary.root, sha256=sha256_file(YARN / data_manifest.SUMMARY)),
        tokenizer=tokens.TokenizerDigest(sha256=sha256_file(SPOOLS / "words.json")),
        dtype="uint16",
        vocabulary=len(words),
        splits=tokens.Splits(train=sizes["train"], validation=sizes["validation"]),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )
    (SPOOLS / tokens.NAME).write_bytes(record.to_bytes())


def _rows() -> Iterator[Row]:
    for number, path in enumerate(sorted(TEXTS.iterdir())):
        use: Use = "validation" if number % 4 == 3 else "train"
        yield Row(
            source=SOURCE, path=path.as_posix(), sha256=sha256_file(path), size=path.stat().st_size, license="CC0-1.0",
            use=use, reason=None,
        )  # fmt: skip


if __name__ == "__main__":
    {"gather": gather, "spin": spin}[sys.argv[1]]()
