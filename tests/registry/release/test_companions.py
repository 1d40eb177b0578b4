"""What stands beside a release is named by it, published before it, tagged with it, and compared by who verifies it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.errors import DigestMismatch, InputError, Refused, VerificationError
from registry.hub import licence_names, metadata
from registry.hub.client import HubClient
from registry.hub.reference import DirectoryReference
from registry.hub.transfer import Opener
from registry.manifest import Manifest
from registry.records import layout
from registry.records.release_record import ReleaseRecord, SourceCode
from registry.release import companions, cut
from registry.release.companions import PlannedCompanion
from registry.release.config import FolderCompanion, ReleaseConfig
from registry.release.publishing import look, publish
from registry.release.signing import sign
from registry.report import Check, Verdict
from registry.verification.companions import on_hub
from registry.verification.steps import verify
from tests import synthetic_release
from tests.conftest import SMALL
from tests.hub_instance import HubInstance
from tests.sudden_death import private_key

_NUMBERS = itertools.count()
SOURCE = SourceCode(commit="c" * 40, committed_at="2026-01-01T00:00:00Z", remote=None)
CARD = "---\nlicense: apache-2.0\nbase_model: {}\nbase_model_relation: quantized\n---\n# In another form\n"


@pytest.fixture
def client(hub: HubInstance, monkeypatch: pytest.MonkeyPatch) -> HubClient:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return HubClient(hub.url, hub.token)


@pytest.fixture
def signer(tmp_path: Path) -> KeySigner:
    return KeySigner(private_key(tmp_path / "private.pem"))


@pytest.fixture
def release(tmp_path: Path, signer: KeySigner) -> Path:
    """A signed release with two companions, in a repository of its own."""
    name = f"glasshouse/accompanied-{next(_NUMBERS)}"
    folder = tmp_path / "releases" / "v1.0.0"
    record = synthetic_release.write(folder)
    made = (
        PlannedCompanion(
            f"{name}-gguf", {"README.md": CARD.format(name).encode(), "model.gguf": b"GGUF" + bytes(5000)}
        ),
        PlannedCompanion(
            f"datasets/{name}", {"README.md": b"---\nlicense: mit\n---\n", "documents.parquet": b"PAR1" * 99}
        ),
    )
    for companion in made:
        companion.write(companions.place(folder, companion.repo))
    record = record.model_copy(update={"repo": name, "companions": tuple(companion.record for companion in made)})
    (folder / layout.RECORD).write_bytes(record.to_bytes())
    sign(folder, signer)
    return folder


def names(folder: Path) -> tuple[str, ...]:
    """(the model's repository, its companions')."""
    record = ReleaseRecord.read(folder / layout.RECORD)
    return record.repo, *(companion.repo for companion in record.companions)


@pytest.fixture
def looked(signer: KeySigner, client: HubClient) -> Callable[..., list[Check]]:
    """What verifying a release in a folder says of its companions."""

    def checks(folder: Path, *, there: bool = True) -> list[Check]:
        verifier = Verifier(Policy(signers=(signer.public_key,)))
        measure = on_hub(client) if there else None
        report = verify(folder, DirectoryReference(folder), "a folder", verifier, measure=measure)
        return [check for check in report.checks if check.step == 6 and check.subject.startswith("hf://")]

    return checks


def test_companions_stand_under_the_release_s_tag(
    release: Path, client: HubClient, looked: Callable[..., list[Check]]
) -> None:
    model, gguf, data = names(release)
    ready = look(release, client)
    assert [part.repo for part in ready.missing] == [gguf, data, model] and f"2 files, 5.1 kB to {gguf}" in str(ready)
    assert not client.repos.exists(model) and not client.repos.exists(gguf)  # looking changes nothing
    publish(release, client)
    again = look(release, client)
    assert again.size == 0 and "nothing to send" in str(again)
    for repo, folder in ((gguf, companions.place(release, gguf)), (data, companions.place(release, data))):
        assert not client.trees.compare(repo, client.refs.tags(repo)["v1.0.0"], Manifest.of_directory(folder))
    assert client.refs.tags(model).keys() == {"v1.0.0"}
    found = {check.subject: check for check in looked(release)}
    for repo in (gguf, data):
        assert found[f"hf://{repo}@v1.0.0"].verdict is Verdict.PASS
    unseen = {check.subject: check for check in looked(release, there=False)}
    for repo in (gguf, data):
        assert unseen[f"hf://{repo}@v1.0.0"].verdict is Verdict.UNKNOWN
    publish(release, client)
    assert all(len(client.refs.history(repo)) == 2 for repo in (model, gguf, data))


def test_nothing_is_tagged_before_all_of_it_is_there(
    release: Path, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, gguf, data = names(release)
    send, tag, tags = client.trees.publish, client.refs.tag, list[str]()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off = {model: interrupted}
        patch.setattr(client.trees, "publish", lambda repo, *a, **k: cut_off.get(repo, partial(send, repo, *a, **k))())
        publish(release, client)
    assert [client.refs.tags(repo) for repo in (model, gguf, data)] == [{}, {}, {}]

    def told(repo: str, *arguments: str, **named: str) -> None:
        tags.append(repo)
        tag(repo, *arguments, **named)

    monkeypatch.setattr(client.refs, "tag", told)
    publish(release, client)
    assert tags == [gguf, data, model]
    assert all(len(client.refs.history(repo)) == 2 for repo in (model, gguf, data))


def interrupted() -> str:
    raise KeyboardInterrupt


def test_a_companion_that_is_not_the_signed_one_is_never_sent(release: Path, client: HubClient) -> None:
    model, gguf, _ = names(release)
    folder = companions.place(release, gguf)
    (folder / "model.gguf").write_bytes(b"GGUF" + bytes(4999) + b"1")
    with pytest.raises(DigestMismatch):
        publish(release, client)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="belongs to the release"):
        publish(release, client)
    assert not client.repos.exists(model) and not client.repos.exists(gguf)


def test_a_tag_of_another_s_stops_all_of_it(release: Path, client: HubClient, tmp_path: Path) -> None:
    model, gguf, _ = names(release)
    client.repos.ensure(gguf)
    client.refs.tag(gguf, "v1.0.0", client.refs.head(gguf), "Theirs")
    with pytest.raises(Refused, match="other files"):
        publish(release, client)
    assert not client.repos.exists(model)


def test_another_companion_than_was_signed_is_found_out(
    release: Path, client: HubClient, looked: Callable[..., list[Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, gguf, data = names(release)
    publish(release, client)
    resolve, source, fetched = client.refs.resolve, client.files.source, list[str]()

    def told(repo: str, commit: str) -> Opener:
        opener = source(repo, commit)

        def opened(path: str, offset: int) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
            fetched.append(repo)
            return opener(path, offset)

        return opened

    monkeypatch.setattr(client.files, "source", told)
    folder = companions.place(release, gguf)
    for data_of_it, whole in ((b"GGUF" + bytes(4999) + b"1", True), (b"GGUF" + bytes(6000), False)):
        (folder / "model.gguf").write_bytes(data_of_it)
        swapped = client.trees.publish(gguf, folder, "Swapped", client.refs.head(gguf))
        fetched.clear()
        moved = {gguf: swapped}
        monkeypatch.setattr(client.refs, "resolve", lambda repo, tag: moved.get(repo) or resolve(repo, tag))  # noqa: B023
        verdicts = {check.subject: check.verdict for check in looked(release)}
        assert verdicts[f"hf://{gguf}@v1.0.0"] is Verdict.FAIL and verdicts[f"hf://{data}@v1.0.0"] is Verdict.PASS
        assert (gguf in fetched) == whole  # what is larger than was signed is not even fetched


def test_a_companion_that_is_not_there_is_unknown(release: Path, looked: Callable[..., list[Check]]) -> None:
    verdicts = [check.verdict for check in looked(release) if check.subject.startswith("hf://")]
    assert verdicts == [Verdict.UNKNOWN] * 2


def test_a_hub_that_sends_too_much_fails(
    release: Path, client: HubClient, looked: Callable[..., list[Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lying(*_: object, **__: object) -> Manifest:
        raise VerificationError("more than it lists", mend="do not use this repository")

    publish(release, client)
    monkeypatch.setattr(client.trees, "measure", lying)
    assert {check.verdict for check in looked(release) if check.subject.startswith("hf://")} == {Verdict.FAIL}


def test_what_a_release_without_companions_says_has_not_changed(tmp_path: Path) -> None:
    record = synthetic_release.write(tmp_path / "release")
    assert "companions" not in record.as_json()
    assert ReleaseRecord.from_bytes(record.to_bytes(), name="x") == record


def test_a_changed_companion_is_something_to_release(release: Path, client: HubClient) -> None:
    publish(release, client)
    record = ReleaseRecord.read(release / layout.RECORD)
    assert cut.unchanged_since(client, record) == "v1.0.0"
    gguf, data = record.companions
    for changed, derived, expected in (
        ((gguf.model_copy(update={"content": "0" * 64}), data), (data.repo,), None),
        ((gguf, data.model_copy(update={"content": "0" * 64})), (data.repo,), "v1.0.0"),
        ((gguf,), (), None),
    ):
        assert cut.unchanged_since(client, record.model_copy(update={"companions": changed}), derived) == expected


def config(**changed: object) -> ReleaseConfig:
    return ReleaseConfig.model_validate(SMALL["release"] | changed)


@pytest.mark.parametrize(
    ("card", "says"),
    [
        (None, "has no README"),
        ("# No metadata\n", "no metadata"),
        ("---\nlicense: mit\n---\n", "does not name glasshouse/small"),
        (CARD.format("somebody/else"), "does not name glasshouse/small"),
    ],
)
def test_another_form_of_the_weights_says_what_it_was_made_from(tmp_path: Path, card: str | None, says: str) -> None:
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "model.gguf").write_bytes(b"GGUF")
    asked = config(companions=[{"kind": "folder", "repo": "glasshouse/small-gguf", "folder": "gguf"}])
    if card is not None:
        (tmp_path / "gguf" / "README.md").write_text(card)
    with pytest.raises((InputError, Refused), match=says):
        companions.planned(tmp_path, asked, "1.0.0", SOURCE)
    (tmp_path / "gguf" / "README.md").write_text(CARD.format("glasshouse/small"))
    (made,) = companions.planned(tmp_path, asked, "1.0.0", SOURCE)
    assert made.record.files == 2
    (tmp_path / "gguf" / "extra.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(Refused, match=r"extra\.bin"):
        companions.planned(tmp_path, asked, "1.0.0", SOURCE)


@pytest.mark.parametrize(
    "rows",
    [
        [{"kind": "data", "repo": "org/not-a-data-set"}],
        [{"kind": "folder", "repo": "org/x", "folder": "../x"}],
        [{"kind": "folder", "repo": "glasshouse/Small", "folder": "x"}],
        [{"kind": "folder", "repo": "org/x", "folder": "x"}, {"kind": "folder", "repo": "org/X", "folder": "y"}],
        [{"kind": "data", "repo": "datasets/o/a"}, {"kind": "data", "repo": "datasets/o/b"}],
        [{"kind": "other", "repo": "org/x"}],
        [{"kind": "gguf", "repo": "datasets/org/x"}],
        [{"kind": "gguf", "repo": "org/x", "types": []}],
        [{"kind": "gguf", "repo": "org/x", "types": ["Q4_K"]}],
        [{"kind": "gguf", "repo": "org/x", "types": ["F16", "F16"]}],
        [{"kind": "gguf", "repo": "org/x", "pre_tokenizer": "a b"}],
    ],
)
def test_companions_that_cannot_be(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"companions|one repository|only one companion"):
        config(companions=rows)


@pytest.mark.parametrize("spdx", ["Apache-2.0", "Apache-2.0 OR MIT", "LicenseRef-Ours", "CC-BY-4.0", "???"])
def test_every_licence_becomes_what_the_hub_knows(spdx: str) -> None:
    fields = licence_names.fields(spdx)
    text = "".join(f"{field}: {value}\n" for field, value in fields.items())
    metadata.check_card(f"---\n{text}---\n".encode())


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    asked = FolderCompanion(kind="folder", repo="datasets/org/x", folder="there")
    (tmp_path / "there" / "a").mkdir(parents=True)
    (tmp_path / "there" / "README.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "there" / "a" / "b.txt").write_text("text")
    (made,) = companions.planned(tmp_path, config(companions=(asked.model_dump(),)), "1.0.0", SOURCE)
    made.write(tmp_path / "out")
    assert Manifest.of_directory(tmp_path / "out") == made.manifest == Manifest.of_directory(tmp_path / "there")
