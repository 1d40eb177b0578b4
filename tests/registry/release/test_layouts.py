"""The layouts that DVC projects have: each is adopted by `init`, built by dvc, cut and verified, with the real dvc.

Where everything is recorded, verification says PASS. Where a record is missing, it says UNKNOWN of just that.
"""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from dvc.cli import main as run_dvc

from registry import api
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.files import write_atomic
from registry.provenance.stage_lineage import INPUTS, LISTED
from registry.records.run import Stages
from registry.release import adopting, config, preparing, self_check
from registry.release.signing import sign
from registry.report import Report, Step, Verdict
from tests.conftest import ROOT
from tests.registry.attest.conftest import write_key
from tests.registry.project.small_dvc import commit, git
from tests.registry.release.model_folders import safetensors

MODEL = safetensors("weight", metadata={"format": "pt"})
MANY = "one file of a directory that is too large for its record"
COPY = "stages: {train: {cmd: cp seed.bin model.safetensors, deps: [seed.bin], outs: [model.safetensors]}}\n"


@dataclass(frozen=True)
class Layout:
    """A project, and what is said of its release."""

    files: Mapping[str, str]
    """From git's root; each text MODEL stands for the bytes of a model."""
    model: str = "model.safetensors"
    """What is released, from DVC's root."""
    root: str = "."
    """DVC's root, from git's."""
    stages: tuple[str, ...] = ("train",)
    """Their addresses, as the release has them."""
    unknown: tuple[tuple[str, str], ...] = ()
    """Subject and words of each check of step 5 that is UNKNOWN."""
    before: Callable[[Path], object] = field(default=lambda root: None)
    """Called with DVC's root before `init`."""


def dvc(*words: str, root: Path, code: int = 0) -> None:
    """Run dvc in this process: starting it anew takes most of a second."""
    with chdir(root), warnings.catch_warnings(action="ignore"):
        assert run_dvc(list(words)) == code


def _cache(kind: str, root: Path) -> None:
    dvc("config", "cache.type", f"{kind},copy", root=root)


LAYOUTS = {
    "in a folder, none at DVC's root, which is below git's": Layout(
        {
            "ml/models/dvc.yaml": COPY,
            "ml/models/seed.bin": "MODEL",
            "web/index.html": "<p>",
            "uv.lock": "version = 1\n",
            "requirements.txt": "numpy\n",
        },
        model="models/model.safetensors",
        root="ml",
        stages=("models/dvc.yaml:train",),
    ),
    "several files, each with its settings": Layout(
        {
            "data/dvc.yaml": "stages: {prepare: {cmd: cp raw.bin clean.bin, deps: [raw.bin], outs: [clean.bin]}}\n",
            "data/raw.bin": "MODEL",
            "models/small/dvc.yaml": """stages:
  train:
    cmd: cp ../../data/clean.bin model.safetensors
    deps: [../../data/clean.bin]
    params: [rate, ../../params.yaml: [size]]
    outs: [model.safetensors]
""",
            "models/small/params.yaml": "rate: 0.5\n",
            "params.yaml": "size: 2\n",
            "dvc.yaml": """stages:
  evaluate: {cmd: cp score.txt score.json, deps: [score.txt, models/small/model.safetensors], metrics: [score.json]}
""",
            "score.txt": '{"accuracy": 0.5}',
            "other/dvc.yaml": "stages: {never: {cmd: 'false', outs: [nothing]}}\n",
        },
        model="models/small/model.safetensors",
        stages=("data/dvc.yaml:prepare", "evaluate", "models/small/dvc.yaml:train"),
    ),
    "wdir": Layout(
        {"dvc.yaml": COPY.replace("cmd:", "wdir: work, cmd:"), "work/seed.bin": "MODEL"}, model="work/model.safetensors"
    ),
    "foreach, matrix, vars and wdir as templates": Layout(
        {
            "models/dvc.yaml": """vars: [colours.yaml, {seed: seed.bin}]
stages:
  train:
    foreach: [small, large]
    do:
      wdir: ${item}
      cmd: cp ../${seed} model.safetensors
      deps: ["../${seed}"]
      outs: [model.safetensors]
  draw:
    matrix: {size: [small], colour: "${colours}"}
    cmd: cp ${item.size}/model.safetensors ${item.colour}
    deps: ["${item.size}/model.safetensors"]
    outs: ["${item.colour}"]
""",
            "models/colours.yaml": "colours: [red]\n",
            "models/seed.bin": "MODEL",
            "models/small/a": "",
            "models/large/a": "",
        },
        model="models/small/model.safetensors",
        stages=("models/dvc.yaml:draw@small-red", "models/dvc.yaml:train@large", "models/dvc.yaml:train@small"),
    ),
    MANY: Layout(
        {
            "dvc.yaml": """stages:
  split:
    cmd: "sh -c 'mkdir many; cp seed.bin many; seq -f many/%g 1000 | xargs touch'"
    deps: [seed.bin]
    outs: [many]
  train: {cmd: cp many/seed.bin model.safetensors, deps: [many/seed.bin], outs: [model.safetensors]}
""",
            "seed.bin": "MODEL",
        },
        stages=("split", "train"),
    ),
    **{
        f"cache.type {kind}": Layout({"dvc.yaml": COPY, "seed.bin": "MODEL"}, before=partial(_cache, kind))
        for kind in ("reflink", "hardlink", "symlink")
    },
}


SLOW = sorted(name for name in LAYOUTS if name == "wdir" or name.startswith("cache.type"))
"""Those of which a test of their own tries most: only `make layouts` runs them."""
EVERY = pytest.mark.skipif("LAYOUTS" not in os.environ, reason="make layouts runs it")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> KeySigner:
    """Who signs."""
    return KeySigner(write_key(tmp_path_factory.mktemp("key") / "private.pem"))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`glasshouse`, as dvc finds it."""
    place = tmp_path / "bin/glasshouse"
    write_atomic(place, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m registry "$@"\n'.encode())
    place.chmod(0o755)
    for folder in (Path(sys.executable).parent, place.parent):
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def made(top: Path, layout: Layout) -> Path:
    """The project of the layout, adopted, built and committed; DVC's root."""
    files = {"requirements.txt": "numpy==2.4.6\n", "LICENSE": "MIT\n", **layout.files}
    for path, text in files.items():
        write_atomic(top / path, MODEL if text == "MODEL" else text.encode())
    root = top / layout.root
    git("init", "--quiet", root=top)
    dvc("init", "--quiet", *(["--subdir"] if layout.root != "." else []), root=root)
    layout.before(root)
    terms = {"license": "MIT"}
    adoption = adopting.plan(root, model=layout.model, repo="org/small", terms=terms, record="all")
    adopting.write(root, adoption)
    code = 255 if "other/dvc.yaml" in files else 0
    dvc(*adoption.repro.split()[1:], "--quiet", "--keep-going", root=root, code=code)
    commit(top)
    return root


def released(root: Path, signer: KeySigner, name: str | None = None, version: str = "1.0.0") -> tuple[Path, Report]:
    """The release that is cut there, and what verification says of it."""
    settings = config.load(root, name)
    planned = preparing.plan(root, settings, version)
    folder = preparing.prepare(root, settings, planned)
    sign(folder, signer)
    self_check.hold(self_check.report(folder, signer))
    return folder, api.verify(folder, Policy(signers=(signer.public_key,)))


def unknown(report: Report) -> dict[str, str]:
    """The checks that are not PASS, and why."""
    return {check.subject: check.reason for check in report.checks if check.verdict is not Verdict.PASS}


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("name", [pytest.param(name, marks=EVERY if name in SLOW else ()) for name in LAYOUTS])
def test_a_layout_is_adopted_built_cut_and_verified(tmp_path: Path, signer: KeySigner, name: str) -> None:
    layout = LAYOUTS[name]
    root = made(tmp_path / "project", layout)
    folder, report = released(root, signer)
    told = unknown(report)
    assert told.keys() == {subject for subject, _ in layout.unknown}
    assert all(words in told[subject] for subject, words in layout.unknown)
    assert report.verdict is (Verdict.UNKNOWN if layout.unknown else Verdict.PASS)
    runs = Stages.read(folder / "provenance/stages.json").stages
    assert tuple(one.run.stage for one in runs) == layout.stages
    assert {one.evidence for one in runs} == {"ran"}
    assert any(check.step is Step.LINEAGE and check.subject == INPUTS for check in report.checks)
    if name == "several files, each with its settings":
        _lies_are_seen(folder, signer)
    if name == MANY:
        _a_listing_is_held(folder, signer)


def _a_listing_is_held(folder: Path, signer: KeySigner) -> None:
    """The release lists the directory; a maintainer who changes that, and signs, is found out."""
    [part] = folder.glob("provenance/listings/*/*.txt")
    lines = part.read_text().splitlines(keepends=True)
    assert len(lines) == 1001 and lines[-1].endswith("  seed.bin\n")
    part.write_text("".join([*lines[:-1], lines[-1].replace(lines[-1][:64], "0" * 64)]))
    sign(folder, signer)
    told = {check.subject: check.verdict for check in self_check.report(folder, signer).checks}
    assert told[LISTED] is told["stage train"] is Verdict.FAIL
    part.unlink()
    sign(folder, signer)
    told = {check.subject: check.verdict for check in self_check.report(folder, signer).checks}
    assert LISTED not in told and told["stage train"] is Verdict.UNKNOWN


def _lies_are_seen(folder: Path, signer: KeySigner) -> None:
    """What a maintainer changes in the files of a folder, and signs, does not fit what else was signed."""
    small, train = folder / "provenance/pipelines/models/small", "stage models/small/dvc.yaml:train"
    for path, old, new, subject in (
        (small / "dvc.lock", "cmd: ", "cmd: true || ", train),
        (small / "dvc.lock", "path: model.safetensors", "path: ../../../model.safetensors", "every stage <- dvc.lock"),
        (small / "dvc.lock", "rate: 0.5", "other: 0.5", train),
        (small / "params.yaml", "rate: 0.5", "rate: 0.25", train),
        (small / "dvc.yaml", "../../data/clean.bin model", "../../data/raw.bin model", train),
        (small.parent.parent / "data/dvc.lock", "  prepare:", "  other:", "stage data=prepare"),
    ):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        sign(folder, signer)
        told = {check.subject: check.verdict for check in self_check.report(folder, signer).checks}
        assert told[subject] is Verdict.FAIL, (path, new)
        path.write_text(text)
    (small.parent.parent / "data/dvc.lock").unlink()
    sign(folder, signer)
    told = {check.subject: check.verdict for check in self_check.report(folder, signer).checks}
    assert told["stage data=prepare"] is Verdict.FAIL and told["weights <- provenance"] is Verdict.UNKNOWN


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of one file, x.txt."""
    write_atomic(tmp_path / "served/x.txt", b"Served.\n")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


@pytest.mark.usefixtures("command")
def test_inputs_from_elsewhere_are_rows_of_the_provenance_and_those_that_nobody_measured_are_unknown(
    tmp_path: Path, signer: KeySigner, server: str
) -> None:
    url, other = f"{server}/x.txt", tmp_path / "other"
    write_atomic(other / "lib.py", b"WORD = 1\n")
    git("init", "--quiet", root=other)
    commit(other)
    deps = "[../seed.bin, fetched.txt, ../code/lib.py]"
    stage = f"""stages:
  train:
    cmd: cp ../seed.bin model.safetensors
    deps: {deps}
    outs: [model.safetensors]
"""

    def brought(root: Path) -> None:
        git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "code", root=root)
        dvc("import-url", "--quiet", url, "models/fetched.txt", root=root)

    files = {"models/dvc.yaml": stage, "seed.bin": "MODEL", "models/a": ""}
    root = made(tmp_path / "project", Layout(files, model="models/model.safetensors", before=brought))
    folder, report = released(root, signer)
    assert report.verdict is Verdict.PASS
    (known,) = Stages.read(folder / "provenance/stages.json").stages
    assert known.committed == ("code/lib.py", "seed.bin")
    (row,) = known.tracked
    assert (row.path, row.file, row.url) == ("models/fetched.txt", "models/fetched.txt.dvc", url)
    assert row.revision and len(row.md5) == 32
    assert url in (folder / "README.md").read_text()

    write_atomic(tmp_path / "shared.txt", b"Shared.\n")
    text = (root / "models/dvc.yaml").read_text()
    write_atomic(root / "models/dvc.yaml", text.replace(deps, f"{deps[:-1]}, '{url}', ../../shared.txt]").encode())
    dvc("repro", "--all-pipelines", "--quiet", root=root)
    commit(root)
    folder, report = released(root, signer, version="1.0.1")
    told = unknown(report)
    assert told.keys() == {"stage models/dvc.yaml:train", INPUTS}
    assert all(url in words and "../shared.txt" in words for words in told.values())
    (known,) = Stages.read(folder / "provenance/stages.json").stages
    assert [(row.place, bool(row.key)) for row in known.outside] == [("../shared.txt", True), (url, True)]
    assert url in (folder / "README.md").read_text().split("Not recorded")[1]


SEVERAL = """stages:
  train:
    foreach: [small, large]
    do:
      cmd: cp seed.bin ${item}.safetensors
      deps: [seed.bin]
      outs: ["${item}.safetensors"]
  evaluate:
    foreach: [small, large]
    do:
      cmd: cp ${item}.txt ${item}.json
      deps: ["${item}.txt", "${item}.safetensors"]
      metrics: ["${item}.json"]
"""


@pytest.mark.usefixtures("command")
def test_several_models_of_one_project_are_released_each_by_its_own_figures(tmp_path: Path, signer: KeySigner) -> None:
    files = {
        "dvc.yaml": SEVERAL,
        "seed.bin": "MODEL",
        "small.txt": '{"accuracy": 0.25}',
        "large.txt": '{"accuracy": 0.75}',
        "glasshouse.yaml": "release:\n  small: {repo: org/small, license: MIT, model: small.safetensors}\n"
        "  large: {repo: org/large, license: MIT, model: large.safetensors}\n",
    }
    root = made(tmp_path / "project", Layout(files))
    for name, figure, other in (("small", "0.25", "0.75"), ("large", "0.75", "0.25")):
        folder, report = released(root, signer, name)
        assert report.verdict is Verdict.PASS
        card = (folder / "README.md").read_text()
        assert f"| accuracy | {figure} |" in card and other not in card
