"""The server with the libraries that people have: the pinned huggingface_hub, the one before it, and the last 1.x.

Each in a virtual environment of its own, unmodified, told of the server by HF_ENDPOINT and HF_TOKEN alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from registry.hub.client import HubClient
from registry.manifest import Difference, Manifest
from registry.server.check import examine
from tests.hub_instance import HubInstance

VERSIONS = ("2.4.0", "2.3.0", "1.33.0")
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "config.json": b"{}",
    "data/part.bin": bytes(range(256)) * 5000,
    "empty.txt": b"",
    "model.safetensors": b"\0\1\2\3" * (1 << 20),
    "na\u00efve/\u65e5\u672c.txt": "un\u00efcode".encode(),
}
CALLS = """
import json, sys
from huggingface_hub import HfApi, HfFileSystem
repo, folder = sys.argv[1:]
api = HfApi()
info = api.repo_info(repo, files_metadata=True)
paths = api.get_paths_info(repo, ["config.json", "data", "nothing"])
tree = list(api.list_repo_tree(repo, recursive=True))
refs = api.list_repo_refs(repo)
commits = [commit.title for commit in api.list_repo_commits(repo)]
listed = [model.id for model in api.list_models(author=repo.split("/")[0], search=repo.split("/")[1])]
with HfFileSystem().open(f"{repo}/data/part.bin", "rb") as stream:
    stream.seek(1000)
    part = list(stream.read(5))
print(json.dumps({
    "lfs": sorted(file.rfilename for file in info.siblings if file.lfs),
    "paths": [row.path for row in paths],
    "tree": sorted(row.path for row in tree if hasattr(row, "size")),
    "branches": [ref.name for ref in refs.branches],
    "commits": commits,
    "listed": listed,
    "part": part,
    "exists": [api.file_exists(repo, "config.json"), api.file_exists(repo, "nothing"), api.revision_exists(repo, "v9")],
}))
"""


def main() -> None:
    """What each version did."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        root = Path(name)
        with HubInstance.start(root / "hub", xet=True) as hub:
            for version in VERSIONS:
                python = install(root / version, version)
                for xet in (True, False):
                    repo = f"glasshouse/by-{version}{'' if xet else '-lfs'}"
                    home = root / f"home-{version}-{xet}"
                    exercise(hub, python, home, repo, {} if xet else {"HF_HUB_DISABLE_XET": "1"})
                    print(f"huggingface_hub {version}, large files by {'Xet' if xet else 'LFS'}: everything held")
        found = examine(root / "hub")
    print(f"store: {found.repositories} repositories, {found.blobs} blobs, {len(found.faults)} faults")
    assert not found.faults, found.faults


def install(folder: Path, version: str) -> Path:
    """The interpreter of a new virtual environment with that version."""
    uv, python = str(Path(sys.executable).parent / "uv"), folder / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*install, f"huggingface_hub=={version}", "hf_xet"], check=True)
    return python


def exercise(hub: HubInstance, python: Path, home: Path, repo: str, more: Mapping[str, str]) -> None:
    """Everything that the `hf` command beside `python` and its library do with a repository, from new to tagged."""
    folder = home / "folder"
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    hf = str(python.parent / "hf")

    def run(*words: str) -> str:
        return told(hub, home, *words, more=more)

    assert "builder" in run(hf, "auth", "whoami")
    run(hf, "auth", "login", "--token", hub.token)
    run(hf, "repos", "create", repo)
    run(hf, "upload", repo, str(folder), ".", "--commit-message", "By hand")
    run(hf, "repos", "branch", "create", repo, "step-000100")
    run(hf, "upload", repo, str(folder / "config.json"), "step.json", "--revision", "step-000100")
    run(hf, "upload", repo, str(folder / "config.json"), "proposed.json", "--create-pr")
    run(hf, "repos", "tag", "create", repo, "v1.0.0", "-m", "One")
    assert "v1.0.0" in run(hf, "repos", "tag", "list", repo)
    run(hf, "repos", "tag", "create", repo, "draft")
    run(hf, "repos", "tag", "delete", repo, "draft", "-y")
    run(hf, "download", repo, "--revision", "v1.0.0", "--local-dir", str(home / "copy"))
    assert {path: (home / "copy" / path).read_bytes() for path in FILES} == FILES
    run(hf, "download", repo, "step.json", "--revision", "step-000100")
    run(hf, "download", repo, "proposed.json", "--revision", "refs/pr/1")
    said = json.loads(run(str(python), "-c", CALLS, repo, str(folder)).splitlines()[-1])
    assert said["lfs"] == ["data/part.bin", "model.safetensors"]
    assert said["paths"] == ["config.json", "data"] and said["tree"] == sorted([".gitattributes", *FILES])
    assert sorted(said["branches"]) == ["main", "step-000100"] and said["commits"] == ["By hand", "initial commit"]
    assert said["exists"] == [True, False, False] and repo in said["listed"]
    assert said["part"] == list(FILES["data/part.bin"][1000:1005])
    reader = HubClient(hub.url, hub.token)
    different = reader.trees.compare(repo, reader.refs.tags(repo)["v1.0.0"], Manifest.of_directory(folder))
    assert different == Difference(missing=(), unexpected=(".gitattributes",), altered=()), different


def told(hub: HubInstance, home: Path, *words: str, more: Mapping[str, str]) -> str:
    """What a command prints. HF_ENDPOINT and HF_TOKEN alone tell it of the server; its home is new."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": hub.token,
        "NO_PROXY": "127.0.0.1",
        **more,
    }
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, f"{words[:4]}: {done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
