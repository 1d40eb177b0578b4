"""What a release came from, as a graph, and the forms in which it is shown."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import api
from registry.catalog import drawing, entry, lineage, openlineage, shelves
from registry.catalog.entry import Whom
from registry.catalog.lineage import Graph, Node
from registry.records import layout
from tests import synthetic_release
from tests.published import World
from tests.registry.attest.conftest import write_key
from tests.registry.catalog.conftest import FIRST
from tests.synthetic_release import COMMIT


@pytest.fixture
def graph(world: World, whom: Whom) -> Graph:
    return lineage.graph(entry.read(shelves.find(FIRST, endpoint=None), whom))


def above(graph: Graph, name: str) -> set[str]:
    return lineage.ancestors(graph.edges, [name])[name]


def test_it_leads_from_the_weights_to_the_sources(graph: Graph) -> None:
    assert graph.gaps == ()
    assert {"stage:train", "stage:corpus", "data:data manifest", "source:files:texts"} <= above(
        graph, f"weights:{layout.WEIGHTS}"
    )
    assert "stage:evaluate@all" not in above(graph, f"weights:{layout.WEIGHTS}")
    assert above(graph, graph.root) >= {"stage:evaluate@all", f"weights:{layout.WEIGHTS}"}
    assert graph.nodes[f"commit:{COMMIT}"].note == "https://git.example/model"


def test_what_is_not_recorded_is_a_gap(signed: Callable[..., Path], whom: Whom) -> None:
    folder = signed()
    found = entry.read(shelves.find(str(folder), endpoint=None), whom)
    (folder / layout.STAGES).unlink()
    (folder / layout.DATA_SUMMARY).write_bytes(b"{}")
    graph = lineage.graph(found)
    assert len(graph.gaps) == 3 and "no record says which stage wrote model.safetensors" in graph.gaps
    assert graph.origins[graph.root] == (f"weights:{layout.WEIGHTS}", f"commit:{COMMIT}")


def test_a_tree_names_everything_once_with_what_is_below_it(graph: Graph) -> None:
    lines = list(drawing.tree(graph))
    assert lines[0].startswith("org/model@v1.0.0")
    stages = [line for line in lines if " stage train " in line and "(above)" not in line]
    assert len(stages) == 1


@pytest.fixture
def hostile() -> Graph:
    words = '</text><script>alert(1)</script>"]; x -> y; \\ \u202e \n\x1b[31m'
    nodes = {name: Node(name, "stage", words, words, words) for name in ("a", "b", "c")}
    return Graph("a", nodes, (("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")), (words,))


def test_a_label_is_only_a_label(hostile: Graph) -> None:
    picture = drawing.svg(hostile)
    assert "<script" not in picture and "\u202e" not in picture
    root = ElementTree.fromstring(picture)
    assert {each.tag.split("}")[1] for each in root.iter()} == {"svg", "title", "style", "rect", "path", "g", "text"}
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", picture)
    for line in [*drawing.tree(hostile), *drawing.dot(hostile).splitlines()]:
        assert line.isprintable()
    assert drawing.dot(hostile).count("label=") == 3


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_any_graph_is_drawn_and_every_edge_goes_right_where_there_is_no_circle(pairs: set[tuple[int, int]]) -> None:
    names = [f"n{number}" for number in range(8)]
    nodes = {name: Node(name, "stage", name) for name in names}
    edges = tuple((names[what], names[origin]) for what, origin in sorted(pairs) if what != origin)
    found = Graph("n0", nodes, edges)
    ElementTree.fromstring(drawing.svg(found))
    list(drawing.tree(found))
    columns = drawing.layers(found)
    assert sorted(name for column in columns for name in column) == names
    place = {name: number for number, column in enumerate(columns) for name in column}
    whole = lineage.ancestors(edges, names)
    if not any(name in before for name, before in whole.items()):
        assert all(place[what] > place[origin] for what, origin in edges)
        outline = lineage.outline(found)
        assert lineage.ancestors(outline.edges, names) == whole  # what is left out is implied


def test_openlineage_has_a_run_for_each_stage_with_what_it_read_and_wrote(graph: Graph) -> None:
    found = openlineage.events(graph, repo="org/model", time="2026-01-01T00:00:00Z", source=(None, COMMIT))
    jobs = {event["job"]["name"]: event for event in found}
    assert jobs.keys() == {"corpus", "train", "evaluate@all"}
    train = jobs["train"]
    assert layout.TOKENS in [each["name"] for each in train["outputs"]]
    assert layout.DATA_SUMMARY in [each["name"] for each in train["inputs"]]
    assert len({UUID(event["run"]["runId"]) for event in found}) == 3
    for event in found:
        assert event["eventType"] == "COMPLETE" and datetime.fromisoformat(event["eventTime"]).utcoffset() is not None
        assert event.keys() >= {"eventTime", "producer", "schemaURL", "run", "job"}
        for each in event["inputs"] + event["outputs"]:
            assert each["namespace"] == "hf://org/model" and each["name"]


@pytest.mark.parametrize("parts", [True, False])
def test_weights_are_found_in_the_listing_of_a_directory(tmp_path: Path, whom: Whom, parts: bool) -> None:
    folder = tmp_path / "model"
    synthetic_release.write(folder, repo="org/model")
    synthetic_release.list_apart(folder, parts=parts)
    api.sign(folder, api.KeySigner(write_key(tmp_path / "key.pem")))
    graph = lineage.graph(entry.read(shelves.find(str(folder), endpoint=None), whom))
    if parts:
        assert graph.gaps == () and "stage:train" in graph.origins[f"weights:{layout.WEIGHTS}"]
    else:
        assert any("the files of build/model are too many" in gap for gap in graph.gaps)
        assert "no record says which stage wrote model.safetensors" in graph.gaps
