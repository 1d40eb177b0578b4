"""Whether training data hold a passage: an index of text built, and asked; beside a scan of the same text.

GIGABYTES=0.25 python -m tests.bench search     of so much text; a token of the demo's size takes 3 to 4 bytes of it
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from pipelines.search import PART_BYTES, parts_of, write_part
from registry.records import search_index
from registry.records.search_index import SearchIndex

GIGABYTES = float(os.environ.get("GIGABYTES", "2"))
DOCUMENT = 8_000
WORDS = 50_000
PASSAGES = 200


def main() -> None:
    """Print what building and asking took."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        folder, built = Path(name), 0.0
        files, documents, planted = [], 0, list[str]()
        for number, texts in enumerate(parts_of(_texts(int(GIGABYTES * 1e9)), PART_BYTES)):
            chance = random.Random(number)
            chosen = [chance.choice(texts).decode() for _ in range(PASSAGES)]
            planted += [text[(cut := chance.randrange(len(text) - 80)) : cut + 80] for text in chosen]
            started = time.perf_counter()
            files += write_part(folder, number, texts)
            built += time.perf_counter() - started
            documents += len(texts)
        index = SearchIndex(tokens="0" * 64, documents=documents, files=tuple(sorted(files, key=lambda f: f.path)))
        size = sum(file.size for file in index.files if file.path.startswith("text"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{size / 1e9:.2f} GB of text in {index.parts} parts: built in {built:.0f} s, {peak:.0f} MiB at most")
        _ask(index, folder, random.Random(1).sample(planted, PASSAGES))


def _texts(wanted: int) -> Iterator[bytes]:
    """Documents of words that are as frequent as words are (Zipf), `wanted` bytes in all."""
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlucmfwypvbgkqjxz", k=chance.randint(2, 10))) for _ in range(WORDS)]
    weights = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))
    done = 0
    while done < wanted:
        text = " ".join(chance.choices(words, cum_weights=weights, k=DOCUMENT // 6)).encode()
        done += len(text) + 1
        yield text


def _ask(index: SearchIndex, folder: Path, planted: list[str]) -> None:
    """Ask for what is there and for what is not, one by one; then scan the text for the first of them."""
    absent = [f"{passage[:-3]}#{number:02d}" for number, passage in enumerate(planted)]
    times = []
    for wanted, there in ((planted, True), (absent, False)):
        for passage in wanted:
            started = time.perf_counter()
            (found,) = search_index.find(index, folder, [passage], 10)
            times.append(time.perf_counter() - started)
            if bool(found.count) is not there:
                raise SystemExit(f"{passage!r}: found {found.count} times")
    started = time.perf_counter()
    search_index.verify(index, folder)
    hashed = time.perf_counter() - started
    started = time.perf_counter()
    parts = range(index.parts)
    scanned = sum(
        (folder / search_index.name_of("text", part)).read_bytes().count(absent[0].encode()) for part in parts
    )
    scan = time.perf_counter() - started
    assert not scanned
    print(
        f"{len(planted)} of {len(planted)} planted passages found, none of {len(absent)} absent ones: "
        f"{1000 * statistics.median(times):.1f} ms each (median); all files hashed in {hashed:.1f} s; "
        f"a scan of the text takes {scan:.1f} s"
    )


if __name__ == "__main__":
    main()
