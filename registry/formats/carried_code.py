"""Code that a release carries, or asks a loader to fetch. None of it is run here.

A library runs such code when it is asked to trust it (`trust_remote_code`), when Python finds it on its path, or when
somebody starts it. A chat template runs in every chat: in a sandbox, which templates have left before.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from registry import canonical, suffixes
from registry.errors import Malformed
from registry.formats import gguf_header, plain_names, settings, settings_places
from registry.formats.chat_templates import Templates
from registry.formats.protobuf import OtherFormat

MAX_CONFIG = 64 << 20
"""Bytes of a configuration or a template that is read: tokenizer.json of a large vocabulary has a third of it."""
MAX_SMALL = 1 << 17
"""Bytes of a file of JSON that is looked through, whatever it is called; of a larger one, if it may name something."""
BY_ITSELF = frozenset(("sitecustomize.py", "usercustomize.py"))
"""What Python runs when it starts, where the folder is on its path; so it does the import lines of `*.pth`."""
CODE = frozenset(
    (
        ".py", ".pyc", ".pyw", ".pyi", ".pyx", ".so", ".dll", ".dylib", ".exe", ".msi", ".com", ".scr", ".sh", ".bash",
        ".zsh", ".fish", ".bat", ".cmd", ".ps1", ".psm1", ".vbs", ".wsf", ".hta", ".lnk", ".url", ".desktop",
        ".js", ".mjs", ".cjs", ".ts", ".jsx", ".tsx", ".jar", ".class", ".wasm", ".html", ".htm", ".xhtml", ".php",
        ".rb", ".pl", ".pm", ".lua", ".r", ".rmd", ".jl", ".el", ".tcl", ".awk", ".m", ".mlx", ".ipynb", ".nix", ".tf",
        ".gradle", ".cmake", ".mk", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".go", ".rs", ".java", ".kt", ".scala",
        ".cs", ".swift", ".sql",
    )
)  # fmt: skip
"""Suffixes of what is run as it is."""
CONFIGS = frozenset(
    ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json", "model_index.json",
     "generation_config.json", "adapter_config.json", "video_preprocessor_config.json", "feature_extractor_config.json",
     "chat_template.json", "router_config.json", settings.MODULES)
)  # fmt: skip
"""Files by which the libraries of Hugging Face go: one that cannot be read is told."""
TOO_LONG = f"a text of more than {MAX_CONFIG} bytes: what it names cannot be told"
JSON = ".json"
TEMPLATES = (".jinja", ".jinja2", ".j2")
YAML = (".yaml", ".yml")
SVG = ".svg"
CALLS = re.compile(
    rb"""(?m)_target_|\bclass_path\b|\b_component_\b|\b(?:target|type)["']?[ \t]*:[ \t]*["']?[A-Za-z_]\w*\.\w"""
    rb"""|["']py/|^%TAG|(?:^|[,\[{:?-]|&[^\s&]{1,100}[ \t])[ \t]*![^\s\["]"""
    rb"""|\\[xuU/]|\w\\\r?\n[ \t]*\w|\{\{[^{}\n]{0,200}__"""
)
"""What has a reader of YAML call something, or may hide it: targets (Hydra, MONAI, torchtune, latent diffusion),
classes (Lightning), objects (jsonpickle), tags wherever they can stand, and letters that are written in another way."""
ACTIVE = re.compile(
    rb"""(?i)<\s{0,9}(?:script|foreignobject|iframe|embed|object|handler|\w{1,40}:script)|javascript:|<!entity|@import"""
    rb"""|[\s/"']on[a-z]{1,40}\s{0,40}=|href\s{0,40}=(?!\s{0,40}["'](?:\#|data:image/(?:png|jpeg|gif|webp)[;,]))"""
    rb"""|url\(\s{0,40}["']?(?!\#|["'\s]|data:image/)|attributename\s{0,40}=\s{0,40}["']?(?:\w{1,40}:)?(?:href|on)"""
)
"""What has a browser run or fetch what a picture of SVG says: it may lead to its own parts, and hold other pictures."""
KEPT = plain_names.KEPT | {".eval_results", ".cache"}
"""Hidden names of files and folders of a release that say nothing but how it is kept, and what was measured of it."""
BUILT_BY = frozenset(
    ("makefile", "gnumakefile", "dockerfile", "containerfile", "jenkinsfile", "procfile", "rakefile", "gemfile",
     "vagrantfile", "modelfile", "snakefile", "sconstruct", "justfile", "mlproject", "build.bazel", "package.json",
     "pyproject.toml", "setup.cfg", "tox.ini", "dvc.yaml", "compose.yaml", "compose.yml", "docker-compose.yaml",
     "docker-compose.yml", "cmakelists.txt", "requirements.txt", "constraints.txt", "environment.yaml",
     "environment.yml", "conda.yaml", "conda.yml", "python_env.yaml", "taskfile.yaml", "taskfile.yml", "action.yaml",
     "action.yml", "cloudbuild.yaml", "buildspec.yml", "skaffold.yaml", "serverless.yml", "cog.yaml", "mkdocs.yml",
     "_config.yml", "lefthook.yml", "playbook.yml", "azure-pipelines.yml", "composer.json", "deno.json", "tasks.json",
     "launch.json", "devcontainer.json", "project.json", "nx.json", "turbo.json", "bower.json")
)  # fmt: skip
"""Files by which a tool runs commands, where somebody starts it in that folder."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Code in a release."""

    path: str
    """The file that holds it, or names it."""
    words: str
    """What it is, and who would run it."""
    refused: bool = False
    """Whether it runs without anybody's asking."""


def carried(root: Path, paths: list[str], records: Collection[str] = ()) -> Iterator[Carried]:
    """The code among the files `paths` below `root`, each a plain file, and what settings among them name.

    records: those of `paths` that say how the model was made, under names by which no loader goes: their settings can
    be of any program, and a loader that is led to one imports what it names all the same.
    Raises OSError for one that cannot be read.
    """
    looked, there = Templates(), frozenset(paths)
    for path in paths:
        name, suffix = PurePosixPath(path).name.lower(), PurePosixPath(path).suffix.lower()
        if path in records:
            yield from _configured(root, path, there, looked, is_record=True) if suffix == JSON else ()
            continue
        if name in BY_ITSELF or suffix == ".pth":
            yield Carried(path, "Python runs it when it starts with this folder on its path", refused=True)
        elif suffix in CODE:
            yield Carried(path, "code that `trust_remote_code`, or whoever starts it, would run")
        elif name in BUILT_BY or any(part.startswith(".") and part not in KEPT for part in path.split("/")):
            yield Carried(path, "tools go by it that find it in their folder, and some of them run what it says")
        elif suffix == JSON:
            yield from _configured(root, path, there, looked)
        elif suffix in TEMPLATES:
            yield from _chat(path, looked, [_bytes(root / path).decode("utf-8", "replace")])
        elif suffix in YAML or suffix == SVG:
            yield from _texts(path, _bytes(root / path), suffix)
        elif suffix == suffixes.GGUF:
            with suppress(OtherFormat), (root / path).open("rb") as stream:
                texts = gguf_header.read(stream, os.fstat(stream.fileno()).st_size)
                chats = (text for key, text in texts.items() if key.startswith(gguf_header.TEMPLATE))
                yield from _chat(path, looked, chats)
        elif _is_script(root / path):
            yield Carried(path, "a script, which whoever starts it would run")


def _is_script(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"#!"


def _bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_CONFIG + 1)


def _texts(path: str, data: bytes, suffix: str) -> Iterator[Carried]:
    """What a text of YAML, or a picture of SVG, has its reader call. data: its bytes, as `_bytes` gives them."""
    if len(data) > MAX_CONFIG:
        yield Carried(path, TOO_LONG)
    elif suffix == SVG and ACTIVE.search(data):
        yield Carried(path, "a picture with code, which a browser that opens it runs")
    elif suffix != SVG and (found := CALLS.search(data)):
        word = found[0].decode("utf-8", "replace")
        yield Carried(path, f"it names what some readers call as they read it: {word[:100]}")


def _chat(path: str, looked: Templates, texts: Iterable[str]) -> Iterator[Carried]:
    """What chat templates do more than to put texts together."""
    yield from (Carried(path, words) for words in looked.amiss(texts))


def _configured(
    root: Path, path: str, paths: Collection[str], looked: Templates, *, is_record: bool = False
) -> Iterator[Carried]:
    """What a file of settings names."""
    data, name = _bytes(root / path), PurePosixPath(path).name.lower()
    if len(data) > MAX_CONFIG:
        yield Carried(path, TOO_LONG)
        return
    followed = name in CONFIGS or "config" in name or name.endswith(settings.INDEX)
    if not followed and len(data) > MAX_SMALL and not settings.may_lead(data):
        return
    try:
        canonical.check_shape(data)
        twice: list[str] = []
        pairs = partial(_object, twice)
        value = json.loads(data.decode("utf-8", "replace"), object_pairs_hook=pairs)  # and numbers beyond 2**53
    except (Malformed, ValueError, RecursionError):
        if followed or settings.may_lead(data):
            yield Carried(path, "a configuration that is not JSON: what it names cannot be told")
        return
    if one := next((key for key in twice if followed or settings.may_lead(_as_key(key))), None):
        yield Carried(path, f"{one[:80]!r} stands twice in one object: readers take either")
    yield from (Carried(path, words) for words in settings.named(value, name))
    yield from _chat(path, looked, settings.templates(value))
    if is_record:
        return
    yield from (Carried(path, words) for words in settings_places.elsewhere(value, name))
    for folder in settings_places.folders(value, name):
        if settings_places.leads_out(folder):
            yield Carried(
                path, f"it has a loader go to the folder {folder[:100]!r}, outside of the release", refused=True
            )
    yield from _tensors(path, paths, settings_places.weights(value))


def _object(twice: list[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of `pairs`; each key that another one hides is added to `twice`."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice += [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    return made


def _as_key(text: str) -> bytes:
    return b'"%b": {' % text.encode("utf-8", "surrogatepass")


def _tensors(path: str, paths: Collection[str], names: Iterable[str]) -> Iterator[Carried]:
    """Each file that tensors are taken from, and that is not one of the release."""
    folder = path.rpartition("/")[0]
    for name in dict.fromkeys(names):
        parts = name.replace("\\", "/").split("/")
        away = not name or settings_places.leads_out(name)
        if away or "/".join([*filter(None, (folder,)), *(part for part in parts if part != ".")]) not in paths:
            yield Carried(path, f"it takes tensors from {name[:200]!r}, which is not a file of this release", away)
