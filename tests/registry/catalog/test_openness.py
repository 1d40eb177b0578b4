"""`glasshouse openness` on look-alikes of public repositories, and on releases, over a real Hub.

Beside each stands the class that a careful person gives who sees what the Hub shows, and the most that it can be.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import api
from registry.attest.verifier import Trust
from registry.catalog.entry import Whom
from registry.catalog.openness import look
from registry.digest import sha256_bytes
from registry.errors import InputError
from registry.files import write_atomic
from registry.hub.client import HubClient
from registry.manifest import walk
from registry.openness.assessment import Assessment
from registry.records import layout
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.openness_record import OpennessRecord
from registry.records.release_record import StatedLicences
from registry.records.training_folder import OPTIMIZER, step_name
from registry.records.training_folder import WEIGHTS as WEIGHTS_FILE
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))
NOBODY = Whom(Trust())
STATED = StatedLicences(code="Apache-2.0", data="CC0-1.0", documents="CC-BY-4.0")
APACHE = "Apache License\nVersion 2.0, January 2004\n"
CONFIG = '{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}'
WEIGHTS = {"model.safetensors": "weights", "config.json": CONFIG}
CODE = dict.fromkeys(("train.py", "generate.py", "evaluate.py", "preprocess.py"), "print()")
LINKS = "Code: https://github.com/org/code. Paper: https://arxiv.org/abs/2402.00838\n"
RESULTS = (
    "model-index:\n- name: it\n  results:\n  - task: {type: text}\n    dataset: {type: org/d, name: d}\n"
    "    metrics: [{type: accuracy, value: 0.5}]\n"
)


def card(*fields: str, text: str = "Words on the model.\n") -> dict[str, str]:
    return {"README.md": "\n".join(("---", *fields, "---", "# A model", "", text))}


APACHE_CARD = card("license: apache-2.0")
LOOKALIKES: dict[str, tuple[dict[str, str], str | None, str | None]] = {
    # Weights, and a card of a few words: no data, no report, no figures. No class, and no doubt of it.
    "weights-only": ({**WEIGHTS, **APACHE_CARD}, None, None),
    # Code makes it no Open Model: III wants cards and reports first.
    "weights-and-code": ({**WEIGHTS, **CODE, **APACHE_CARD, "LICENSE": APACHE}, None, None),
    # Code and paper are links: nobody looked, so no class is shown, and II stays possible. Not I: the data is under
    # ODC-By, which is on no list of the framework.
    "olmo": (
        {**WEIGHTS, **card("license: apache-2.0", "datasets: [org/dolma]", RESULTS.rstrip(), text=LINKS)}, None, "II",
    ),
    # The data set was taken down, so whether it is open cannot be seen. Steps are there, and all else is a link.
    "pythia": (
        {**WEIGHTS, **card("license: apache-2.0", "datasets: [org/the-pile]", text=f"{LINKS}\n## Evaluations\n")},
        None, "I",
    ),
    # Whoever wants it has to ask.
    "gated": ({**WEIGHTS, **CODE, **APACHE_CARD, "technical-report.pdf": "%PDF", "results.json": "{}"}, None, None),
    # Without a licence nobody may use it, whatever is there.
    "no-licence": ({**WEIGHTS, **CODE, **card("language: en"), "technical-report.pdf": "%PDF"}, None, None),
    # All in one place, under open licences: II, and I but for a paper and checkpoints.
    "all-here": (
        {
            **WEIGHTS, **CODE, "LICENSE": APACHE, "technical-report.pdf": "%PDF", "results.json": "{}",
            "test.jsonl": "{}", **card("license: apache-2.0", "datasets: [org/open-data]"),
        },
        "II", "II",
    ),
}  # fmt: skip
DATASETS = {
    "org/dolma": {"data/a.jsonl": "{}", **card("license: odc-by")},
    "org/open-data": {"data/a.jsonl": "{}", **card("license: cc0-1.0")},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A Hub with all of them, seen by somebody without a token."""
    folder = tmp_path_factory.mktemp("open")
    with HubInstance.start(folder / "hub", organizations=("org",)) as there, pytest.MonkeyPatch.context() as patch:
        client = HubClient(there.url, there.token)
        for name, (files, _, _) in LOOKALIKES.items():
            upload(client, f"org/{name}", files)
        for name, files in DATASETS.items():
            upload(client, f"datasets/{name}", files)
        for step in (0, 1000, 2000):
            client.refs.ensure_branch("org/pythia", f"step{step}")
            change = {"model.safetensors": f"weights at {step}".encode()}
            head = client.refs.head("org/pythia", f"step{step}")
            client.commits.make("org/pythia", _changes(change), "A step", head, f"step{step}")
        client.connection.api.update_repo_settings("org/gated", gated="auto")
        for variable, value in there.environment(folder / "huggingface").items():
            patch.setenv(variable, value)
        patch.delenv("HF_TOKEN")
        yield there


def upload(client: HubClient, repo: str, files: dict[str, str]) -> None:
    client.repos.ensure(repo)
    client.commits.make(repo, _changes({path: data.encode() for path, data in files.items()}), "All",
                        client.refs.head(repo), "main")  # fmt: skip


def _changes(files: dict[str, bytes]) -> list[Any]:
    from huggingface_hub import CommitOperationAdd

    return [CommitOperationAdd(path, data) for path, data in files.items()]


def seen(name: str) -> Assessment:
    found = look(f"hf://org/{name}", NOBODY, endpoint=None)
    assert found.signature is None and found.contradiction is None
    return found.assessment


@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_look_alike_has_the_class_that_a_careful_person_gives(hub: HubInstance, name: str) -> None:
    _, reached, at_most = LOOKALIKES[name]
    found = seen(name)
    assert (found.reached, found.at_most) == (reached, at_most), [(one.component.name, one.why) for one in found.judged]


def test_what_is_known_of_each_is_told(hub: HubInstance) -> None:
    olmo, pythia = seen("olmo").by_name, seen("pythia").by_name
    assert "claimed: the card links to https://github.com/org/code" in olmo["training-code"].why
    assert "claimed: the card links to https://arxiv.org" in olmo["technical-report"].why
    assert olmo["datasets"].state == "missing" and "odc-by" in olmo["datasets"].why
    assert "the-pile cannot be seen" in pythia["datasets"].why
    steps = pythia["model-parameters-intermediate"]
    assert steps.counts and "3 branches" in steps.why
    assert all("gated" in one.why for one in seen("gated").judged if one.files)
    assert "no licence" in seen("no-licence").by_name["model-parameters-final"].why


def run(*words: str, code: int) -> str:
    done = subprocess.run((GLASSHOUSE, "openness", *words), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_command_prints_a_table_of_80_columns(hub: HubInstance) -> None:
    text = run("hf://org/olmo", "--at-least", "III", "-v", code=3)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "no class of MOF 1.0" in text and "at most class II" in text and "Open Source AI Definition 1.0:" in text
    assert text.count("claimed") > 5
    assert json.loads(run("hf://org/all-here", "--at-least", "II", "--json", code=0))["class"] == "II"


def release(folder: Path, version: str = "1.0.0", **lie: Any) -> Path:
    """A signed release that is of class II by its own records."""
    synthetic_release.write(folder, repo="org/model", version=version, opened=STATED)
    if lie:
        honest = OpennessRecord.read(folder / layout.OPENNESS)
        write_atomic(folder / layout.OPENNESS, honest.model_copy(update=lie).to_bytes())
    api.sign(folder, api.KeySigner(write_key(folder.with_suffix(".pem"))))
    return folder


def test_a_release_is_judged_by_its_records_before_and_after_it_is_signed(tmp_path: Path) -> None:
    folder = release(tmp_path / "signed")
    picture = tmp_path / "badge.svg"
    found = json.loads(run(str(folder), "--at-least", "II", "--json", "--badge", str(picture), code=0))
    assert "openness: II Open Tooling, signer not known" in picture.read_text()
    assert (found["class"], found["signature"]["verdict"], found["contradiction"]) == ("II", "UNKNOWN", None)
    assert found["lacking"] == ["model-parameters-intermediate", "research-paper"] and found["osaid"]["met"] is True
    synthetic_release.write(tmp_path / "prepared", opened=STATED)
    before = look(str(tmp_path / "prepared"), NOBODY, endpoint=None)
    assert before.assessment.reached == "II" and before.signature is None
    with pytest.raises(InputError, match="is not a release"):
        look(str(tmp_path), NOBODY, endpoint=None)


def test_a_release_whose_record_says_more_ends_in_1(tmp_path: Path) -> None:
    text = run(str(release(tmp_path / "lying", reached="I")), "--badge", str(tmp_path / "badge.svg"), code=1)
    assert "openness: its record differs" in (tmp_path / "badge.svg").read_text()
    assert "FAIL: provenance/openness.json is not what the release shows" in text and "class II" in text


def steps(folder: Path) -> Chain:
    """Three checkpoints, whose files are a few bytes each."""
    tokens = sha256_bytes((folder / layout.TOKENS).read_bytes())
    chain = Chain(tokens=tokens, recipe="0" * 64, profile=ProfileName(name="portable", digest="1" * 64), entries=())
    for step in range(3):
        weights, optimizer = (sha256_bytes(data) for data in _checkpoint(step).values())
        chain = chain.extended(
            step=step, weights=FileDigests(file=weights, tensors=weights),
            optimizer=FileDigests(file=optimizer, tensors=optimizer), end=step * 8, loss=1.0 if step else None,
        )  # fmt: skip
    return chain


def _checkpoint(step: int) -> dict[str, bytes]:
    return {WEIGHTS_FILE: b"weights %d" % step, OPTIMIZER: b"optimizer %d" % step}


def test_checkpoints_on_branches_are_seen_by_their_digests(hub: HubInstance, tmp_path: Path) -> None:
    client, folder = HubClient(hub.url, hub.token), tmp_path / "release"
    synthetic_release.write(folder, repo="org/stepped", opened=STATED, chain=steps)
    api.sign(folder, api.KeySigner(write_key(tmp_path / "key.pem")))
    client.repos.ensure("org/stepped")
    files = {path: (folder / path).read_bytes() for path, _ in walk(folder)}
    first = client.refs.head("org/stepped")
    commit = client.commits.make("org/stepped", _changes(files), "All", first, "main")
    client.refs.tag("org/stepped", "v1.0.0", commit, "A release")

    def intermediate() -> tuple[str, str]:
        one = look("hf://org/stepped@v1.0.0", NOBODY, endpoint=None).assessment.by_name["model-parameters-intermediate"]
        return one.state, one.why

    assert intermediate()[0] == "missing" and "3 of 3 checkpoints are not published" in intermediate()[1]
    for step in range(3):
        name = step_name(step)
        parent = client.refs.ensure_branch("org/stepped", name)
        client.commits.make("org/stepped", _changes(_checkpoint(step)), "A step", parent, name)
    assert intermediate() == (
        "conditional",
        "3 checkpoints are on branches, with the digests of the signed chain; "
        "Apache-2.0 is open, and was written for another type than data",
    )
