"""How open others' repositories are: what hostile cards say, and what a name alone is worth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.hub.transfer import RemoteFile
from registry.openness import custom_names, elsewhere
from registry.openness.assessment import Assessment
from registry.openness.seen import SeenRepository

CARD: dict[str, Any] = {"license": "apache-2.0"}
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["MIT", "results", "metrics"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(["license", "datasets", "model-index", "tags", "language", "license_name"]), NESTED
)


def repository(*paths: str, name: str = "org/model", **what: Any) -> SeenRepository:
    """A repository with these files, and a card that claims Apache-2.0."""
    files = {path: RemoteFile(path, 9, "0" * 64, "0" * 40) for path in ("README.md", *paths)}
    return SeenRepository(name, files, **{"fields": CARD, "text": "# A model\n", **what})


def look(*paths: str, **what: Any) -> Assessment:
    return elsewhere.assess(repository(*paths, **what), "hf://org/model")


@given(FIELDS, st.text(max_size=200) | st.none(), st.booleans(), NESTED)
def test_every_card_has_an_answer(fields: dict[str, Any], text: str | None, gated: bool, config: Any) -> None:
    seen = repository(
        "model.safetensors", "train.py", fields=fields, text=text, config=config,
        closed="it is gated" if gated else None,
    )  # fmt: skip
    found = elsewhere.assess(seen, "it")
    assert len(found.judged) == 17 and found.reached is None
    assert found.record.reached is None
    if gated:
        assert not any(one.counts for one in found.judged)


@given(st.sampled_from(custom_names.COMPONENTS), st.text(max_size=300))
def test_every_path_is_told(component: str, path: str) -> None:
    assert custom_names.is_called(component, path) in (True, False)
    assert custom_names.is_called(component, path.upper()) is custom_names.is_called(component, path.upper().lower())


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("train.py", "training-code"), ("scripts/pretrain_gpt.py", "training-code"), ("train/loop.py", "training-code"),
        ("finetune.sh", "training-code"), ("inference.py", "inference-code"), ("x/generate_text.py", "inference-code"),
        ("eval/run.py", "evaluation-code"), ("evaluate.py", "evaluation-code"),
        ("preprocess/dedup.py", "data-preprocessing-code"), ("modeling_olmo.py", "model-architecture"),
        ("technical-report.pdf", "technical-report"), ("docs/tech_report.md", "technical-report"),
        ("paper.pdf", "research-paper"), ("DATA_CARD.md", "data-card"), ("datasheet.md", "data-card"),
        (".eval_results/a.yaml", "evaluation-results"), ("results.json", "evaluation-results"),
        ("samples/1.txt", "sample-outputs"), ("data/test.jsonl", "evaluation-data"),
        ("tokenization_x.py", "supporting-libraries"),
    ],
)  # fmt: skip
def test_files_are_told_by_their_names(path: str, component: str) -> None:
    one = look(path).by_name[component]
    assert one.counts and [file.path for file in one.files] == [path]
    assert "claimed by the card" in one.why
    closed = look(path, closed="it is gated").by_name[component]
    assert closed.state == "missing" and "gated" in closed.why
    assert look(path, fields={}).by_name[component].state == "missing"


@pytest.mark.parametrize(
    "path", ["trains.txt", "constraint.py", "retrain", "evaluation.txt", "medieval.py", "strain.py"]
)
def test_other_names_are_not(path: str) -> None:
    found = look(path)
    assert not any(path in [file.path for file in one.files] for one in found.judged)


def test_a_licence_is_the_cards_or_that_of_a_known_text() -> None:
    def state(**what: Any) -> tuple[str, str]:
        one = look("model.safetensors", **what).by_name["model-parameters-final"]
        return one.state, one.why

    apache = ("LICENSE", "Apache License\nVersion 2.0, January 2004")
    assert state()[0] == "conditional"
    assert "by the text of LICENSE" in state(fields={}, licence=apache)[1]
    assert state(fields={"license": "mit"}, licence=apache)[0] == "unknown"
    assert state(fields={}, licence=("LICENSE", "my own words"))[0] == "unknown"
    assert state(fields={"license": "llama3"})[0] == "missing"
    assert state(fields={"license": "unknown"})[0] == state(fields={})[0] == "missing"
    assert state(fields={"license": ["mit", "llama3"]})[0] == "missing"


def test_links_are_claims() -> None:
    found = look(
        text="Code: https://github.com/org/code. Paper: https://arxiv.org/abs/2402.00838\n\n## Evaluation\n| a |"
    )
    for name in ("training-code", "technical-report", "research-paper", "evaluation-results"):
        assert found.by_name[name].state == "unknown" and "claimed" in found.by_name[name].why


def test_data_sets_count_as_their_own_cards_say() -> None:
    def data(**what: Any) -> SeenRepository:
        return repository("data/a.jsonl", name="datasets/org/data", **what)

    def states(*of: SeenRepository | str) -> list[str]:
        found = look(datasets=of)
        return [found.by_name[name].state for name in ("datasets", "data-card")]

    assert states(data()) == ["conditional", "open"]
    assert states(data(fields={"license": "cc0-1.0"}), data()) == ["conditional", "open"]
    assert states(data(fields={})) == ["missing", "missing"]
    assert states(data(fields={"license": "odc-by"})) == ["missing", "unknown"]
    assert states(data(closed="it is gated")) == ["missing", "missing"]
    assert states(data(), "it cannot be seen") == ["unknown", "unknown"]
    assert states(data(text="")) == ["conditional", "missing"]
    assert states() == ["missing", "missing"]
