"""The `.gitattributes` of a draft names every file that a Hub keeps as a large one, by git's own reading of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from registry.records.layout import GIT_ATTRIBUTES
from registry.release import draft

FILES = {
    "model.safetensors": (b"\0weights", True),
    "tokenizer.json": (b"{}" * (6 << 20), True),
    "tokenizer.model": (b"sentences", True),
    "a b/odd[1]*.dat": (b"\0odd", True),
    "odd1x.dat": (b"text", False),
    "config.json": (b"{}", False),
    "empty.zst": (b"", False),
}


def test_a_draft_tells_git_of_every_large_file(tmp_path: Path) -> None:
    for path, (data, _) in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / GIT_ATTRIBUTES).write_bytes(draft.git_attributes(tmp_path))
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    given = "".join(f"{path}\0" for path in FILES).encode()
    words = ["git", "-C", str(tmp_path), "check-attr", "-z", "--stdin", "filter"]
    told = subprocess.run(words, input=given, capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    found = {path: value == "lfs" for path, value in zip(told[::3], told[2::3], strict=True)}
    assert found == {path: large for path, (_, large) in FILES.items()}
