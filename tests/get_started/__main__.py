"""Run it all, and print what a stranger sees: BITWISE; then, of a stage that draws its luck, the file that differs."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from registry.audit import view

HERE = Path(__file__).parent / "project"
POSTS = 400
WORDS = (
    "model",
    "data",
    "plot",
    "frame",
    "vector",
    "loop",
    "table",
    "list",
    "apply",
    "merge",
    "read",
    "write",
    "join",
    "split",
)
KEY = ("--key", "../private.pem")
FRESH = ("--key", "../public.pem", "--source", "../project")


def posts() -> str:
    """Questions on two subjects, made up; the same each time."""
    chance = random.Random(7)
    rows = []
    for number in range(POSTS):
        is_r = chance.random() < 0.4
        words = chance.choices(WORDS[:9] if is_r else WORDS[5:], k=30)
        tags = "&lt;r&gt;" if is_r else "&lt;python&gt;"
        rows.append(f'<row Id="{number}" Title="{" ".join(words[:5])}" Body="{" ".join(words[5:])}" Tags="{tags}"/>')
    return "<posts>\n" + "\n".join(rows) + "\n</posts>\n"


def run(folder: Path, *words: str, code: int = 0) -> str:
    """What a command says, which has to end in `code`; how long it took is printed."""
    began = time.perf_counter()
    variables = {"DVC_NO_ANALYTICS": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    variables |= {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(words, cwd=folder, env=os.environ | variables, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != code:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}, expected was {code}:\n{said}")
    print(f"{time.perf_counter() - began:6.1f} s  {' '.join(words)[:100]}", flush=True)
    return said


def commit(root: Path, message: str) -> None:
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", message)


def build(folder: Path) -> Path:
    """The project, as its people have it: data in a remote of DVC's, a lock with digests, adopted by one command."""
    root = folder / "project"
    shutil.copytree(HERE, root)
    for script in (root / "src").iterdir():  # they are another project's code, and nobody here checks them
        script.rename(script.with_suffix(".py"))
    (root / "data").mkdir()
    (root / "data/data.xml").write_text(posts())
    run(root, "git", "init", "--quiet")
    run(root, "dvc", "init", "--quiet")
    run(root, "dvc", "remote", "add", "--default", "--quiet", "store", str(folder / "store"))
    run(root, "dvc", "add", "--quiet", "data/data.xml")
    run(root, "uv", "pip", "compile", "--quiet", "--generate-hashes", "requirements.in", "-o", "requirements.lock")
    run(root, "glasshouse", "init", "--model", "out/model.safetensors", "--repo", "org/started", "--license", "MIT")
    run(folder, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "private.pem")
    run(folder, "openssl", "ec", "-in", "private.pem", "-pubout", "-out", "public.pem")
    return root


def release(root: Path, version: str) -> Path:
    """Build what stands there with the locked packages, and cut a release of it. The stranger's copy is elsewhere."""
    run(root, "dvc", "repro")
    run(root, "dvc", "push", "--quiet")
    commit(root, f"Ready for {version}")
    run(root, "glasshouse", "release", "cut", "--local", "--version", version, *KEY)
    stranger = root.parent / "stranger"
    return Path(shutil.copytree(root / f"releases/started/v{version}", stranger / version))


def main() -> None:
    """All of it, in a folder that goes away."""
    if fault := view.fault():
        raise SystemExit(f"{fault}: {view.MEND}")
    with tempfile.TemporaryDirectory(prefix="glasshouse-started-") as name:
        # The maintainer's environment is made of the same lock, so that the forest is that of these packages.
        programs = (Path(name) / "env/bin", Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join((*map(str, programs), os.environ["PATH"]))
        root = build(Path(name))
        run(root.parent, "uv", "venv", "--quiet", "--python", sys.executable, "env")
        pip = ("uv", "pip", "install", "--quiet", "--python", str(programs[0] / "python"))
        run(root, *pip, "--require-hashes", "-r", "requirements.lock")
        first = release(root, "1.0.0")
        data = ("--data", "../store")
        said = run(first.parent, "glasshouse", "audit", "rebuild", str(first), *FRESH, *data)
        print(said)
        if "\nBITWISE: 2 BITWISE of the outputs" not in said:
            raise SystemExit("it is not BITWISE")
        train = root / "src/train.py"
        train.write_text(train.read_text().replace('random_state=params["seed"]', "random_state=None"))
        second = release(root, "1.1.0")
        said = run(second.parent, "glasshouse", "audit", "rebuild", str(second), *FRESH, *data, code=1)
        print(said)
        if "the first stage that departs is train: model.pkl" not in said:
            raise SystemExit("the first file that differs is not named")
    print("BITWISE where its stages are deterministic, and the first file that differs where one is not.")


if __name__ == "__main__":
    main()
