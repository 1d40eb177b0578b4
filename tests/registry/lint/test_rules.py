"""Lint finds each planted fault in a series of thirty checkpoints, and is silent on a clean one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.params import Train
from pipelines.schedule import is_checkpoint
from registry.hub.conventions import parse_step
from registry.hub.transfer import RemoteFile
from registry.lint.rules import Level
from registry.lint.rules import lint as run
from registry.lint.series import Published, Revision, begins_late, missing_steps
from tests.pipelines.small_project import TRAIN

STEPS = tuple(range(0, 30_000, 1_000))
CARD = "---\nlicense: apache-2.0\ndatasets:\n- org/data\n---\n# A model\n"
APACHE = "Apache License\nVersion 2.0, January 2004\n"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
Files = dict[str, str]
"""{path: words that stand for the bytes}."""


def tree(step: int) -> Files:
    """One clean checkpoint."""
    return {
        SHARDS[0]: f"a{step}", SHARDS[1]: f"b{step}", INDEX: "index", "optimizer.safetensors": f"o{step}",
        "tokenizer.json": "tokenizer",
    }  # fmt: skip


def digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


def revision(name: str, files: Files, number: int = 0, family: str = "") -> Revision:
    listed = {path: RemoteFile(path, len(path), digest(words), "0" * 40) for path, words in files.items()}
    return Revision(name, digest(name)[:40], listed, family, number)


def published(trees: dict[int, Files], main: Files, card: str = CARD, licence: str = APACHE) -> Published:
    steps = tuple(revision(f"step{step}", files, step) for step, files in sorted(trees.items()))
    every = {words for files in (main, *trees.values()) for path, words in files.items() if "safetensors" in path}
    return Published(
        repo="org/model",
        main=revision("main", main),
        steps=steps,
        metadata={digest(words): ("format",) for words in every},
        unreadable={},
        indexes={digest("index"): frozenset(SHARDS)},
        texts={"README.md": card, "LICENSE": licence},
        settings={
            digest("config"): {"hidden_size": 8, "transformers_version": "4.1"},
            digest("another config"): {"hidden_size": 9, "transformers_version": "4.2"},
        },
        pointers=frozenset({digest("pointer")} & {digest(words) for words in (*main.values(),)}),
        doubtful={digest("doubtful"): "names what is not on the list"} if "model.skops" in main else {},
    )


def clean() -> tuple[dict[int, Files], Files]:
    return {step: tree(step) for step in STEPS}, {**tree(STEPS[-1]), "README.md": "card", "LICENSE": "licence"}


def found(of: Published) -> set[str]:
    return {finding.rule for finding in run(of)}


def test_a_clean_series_of_thirty_is_passed_over_in_silence() -> None:
    trees, main = clean()
    assert run(published(trees, main)) == ()


def test_a_repository_without_steps_is_linted_too() -> None:
    _, main = clean()
    assert run(published({}, main)) == ()


Fault = Callable[[dict[int, Files], Files], None]


def serve_final(trees: dict[int, Files], main: Files) -> None:
    """pythia 205: step branches serve the final weights."""
    for step in (3_000, 7_000):
        trees[step] |= {path: trees[29_000][path] for path in SHARDS}


def zero_is_one(trees: dict[int, Files], main: Files) -> None:
    """pythia 83: step 0 equals step 1."""
    trees[0] |= {path: trees[1_000][path] for path in SHARDS}


def lose(trees: dict[int, Files], main: Files) -> None:
    """pythia 202: checkpoints are missing."""
    del trees[11_000], trees[12_000]


def triplets(trees: dict[int, Files], main: Files) -> None:
    """OLMo 915: three branches are byte-identical."""
    for step in (5_000, 6_000):
        trees[step] |= {path: trees[4_000][path] for path in SHARDS}


def stale_main(trees: dict[int, Files], main: Files) -> None:
    main |= {path: trees[20_000][path] for path in SHARDS}


def other_main(trees: dict[int, Files], main: Files) -> None:
    main |= {path: f"another {path}" for path in SHARDS}


def mixed_shards(trees: dict[int, Files], main: Files) -> None:
    trees[9_000][SHARDS[1]] = trees[8_000][SHARDS[1]]


def no_optimizer(trees: dict[int, Files], main: Files) -> None:
    del trees[13_000]["optimizer.safetensors"]


def no_shard(trees: dict[int, Files], main: Files) -> None:
    del trees[14_000][SHARDS[1]]


def other_tokenizer(trees: dict[int, Files], main: Files) -> None:
    trees[15_000]["tokenizer.json"] = "another tokenizer"


def no_weights(trees: dict[int, Files], main: Files) -> None:
    """pythia 202: a step branch that holds all but its weights."""
    for path in (*SHARDS, INDEX):
        del trees[16_000][path]


def other_config(trees: dict[int, Files], main: Files) -> None:
    """open-instruct 1291: one step has another configuration."""
    for files in trees.values():
        files["config.json"] = "config"
    trees[17_000]["config.json"] = "another config"


def other_template(trees: dict[int, Files], main: Files) -> None:
    """transformers 33957: one step is asked otherwise."""
    for files in (main, *trees.values()):
        files["chat_template.jinja"] = "template"
    trees[18_000]["chat_template.jinja"] = "another template"


def other_tokenizer_config(trees: dict[int, Files], main: Files) -> None:
    for files in (main, *trees.values()):
        files["tokenizer_config.json"] = "tokenizer config"
    trees[19_000]["tokenizer_config.json"] = "another tokenizer config"


def pointer(trees: dict[int, Files], main: Files) -> None:
    """transformers 27923: what was committed is the pointer."""
    for files in (main, *trees.values()):
        files["spiece.model"] = "pointer"


def joblib(trees: dict[int, Files], main: Files) -> None:
    main["model.joblib.gz"] = "pickle"


def skops(trees: dict[int, Files], main: Files) -> None:
    main["model.skops"] = "doubtful"


def pickled(trees: dict[int, Files], main: Files) -> None:
    main["pytorch_model.bin"] = "pickle"


@pytest.mark.parametrize(
    ("plant", "rules", "names"),
    [
        (serve_final, {"GH101"}, "step3000, step7000, step29000"),
        (zero_is_one, {"GH102"}, "step1000"),
        (lose, {"GH103"}, "11000, 12000"),
        (triplets, {"GH101"}, "step4000, step5000, step6000"),
        (stale_main, {"GH104"}, "step20000"),
        (other_main, {"GH104"}, "step29000"),
        (mixed_shards, {"GH105"}, "step8000 and step9000"),
        (no_optimizer, {"GH106"}, "step13000"),
        (no_shard, {"GH107"}, SHARDS[1]),
        (other_tokenizer, {"GH108"}, "step15000"),
        (pickled, {"GH109"}, "pytorch_model.bin"),
        (joblib, {"GH109"}, "model.joblib.gz"),
        (no_weights, {"GH115"}, "no weights at step16000"),
        (other_config, {"GH116"}, "config.json at step17000 differs from that at 29 others: hidden_size"),
        (other_template, {"GH116"}, "chat_template.jinja at step18000"),
        (other_tokenizer_config, {"GH108"}, "tokenizer_config.json at step19000"),
        (pointer, {"GH117"}, "spiece.model at main, step0"),
        (skops, {"GH119"}, "model.skops names what is not on the list"),
    ],
)
def test_each_planted_fault_is_found_and_named(plant: Fault, rules: set[str], names: str) -> None:
    trees, main = clean()
    plant(trees, main)
    findings = run(published(trees, main))
    assert {finding.rule for finding in findings} == rules
    assert any(names in finding.message for finding in findings)


def test_a_pickle_alone_is_an_error_and_beside_safetensors_a_warning() -> None:
    alone = run(published({}, {"pytorch_model.bin": "pickle", "README.md": "card"}))
    assert [finding.level for finding in alone] == [Level.ERROR]
    trees, main = clean()
    pickled(trees, main)
    assert [finding.level for finding in run(published(trees, main))] == [Level.WARNING]


def test_no_optimizer_at_all_is_only_a_note() -> None:
    trees, main = clean()
    for files in trees.values():
        del files["optimizer.safetensors"]
    assert [(f.rule, f.level) for f in run(published(trees, main))] == [("GH106", Level.NOTE)]


@pytest.mark.parametrize(
    ("card", "licence", "rules"),
    [
        ("# No metadata\n", APACHE, {"GH110", "GH111"}),
        ("---\nlicense: mit\ndatasets: [org/data]\n---\n", APACHE, {"GH112"}),
        ("---\nlicense: apache-2.0\n---\n", APACHE, {"GH111"}),
        ("---\nlicense: &a apache-2.0\nx: *a\n---\n", APACHE, {"GH110"}),
        ("---\nlicense: other\ndatasets: [org/data]\n---\n", "Terms of our own\n", set()),
        ("---\nlicense: gpl-3.0\ndatasets: [a/b]\n---\n", "GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3", {"GH112"}),
    ],
)
def test_cards_and_licences(card: str, licence: str, rules: set[str]) -> None:
    trees, main = clean()
    assert found(published(trees, main, card, licence)) == rules


def test_another_version_of_the_library_that_wrote_it_makes_no_other_configuration() -> None:
    trees, main = clean()
    other_config(trees, main)
    settings = {
        digest(words): {"hidden_size": 8, "transformers_version": words} for words in ("config", "another config")
    }
    assert found(replace(published(trees, main), settings=settings)) == set()


def test_a_series_that_begins_late_is_told_and_a_repository_of_logs_is_not() -> None:
    trees, main = clean()
    late = {step: files for step, files in trees.items() if step >= 20_000}
    (finding,) = run(published(late, main))
    assert (finding.rule, finding.level) == ("GH103", Level.WARNING)
    assert finding.message == "the series begins at 20000: 19 steps before it are not there"
    assert found(published({1000: {"log.txt": "a"}, 2000: {"log.txt": "b"}}, {"README.md": "card"})) == {"GH106"}


def test_step_1_that_is_not_made_of_step_0_is_named() -> None:
    trees, main = clean()
    some = replace(published(trees, main), unlike={("step0", "step1000"): 0.004})
    (finding,) = run(some)
    assert finding.rule == "GH118" and finding.where == ("step0", "step1000") and "0.00" in finding.message


def test_safetensors_headers() -> None:
    trees, main = clean()
    some = published(trees, main)
    assert found(replace(some, metadata={**some.metadata, digest("a2000"): ("format", "version")})) == {"GH113"}
    assert found(replace(some, unreadable={digest("a2000"): "a header of 0 bytes"})) == {"GH114"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("step-000100", ("", 100)),
        ("step1000", ("", 1000)),
        ("stage1-step1000-tokens4B", ("stage1", 1000)),
        ("checkpoint-500", ("", 500)),
        ("global_step12", ("global", 12)),
        ("ckpt_000", ("", 0)),
        ("ckpt-358", ("", 358)),
        ("main", None),
        ("v1.0.0", None),
    ],
)
def test_names_of_steps(name: str, expected: tuple[str, int] | None) -> None:
    assert parse_step(name) == expected


@pytest.mark.parametrize(
    ("steps", "missing"),
    [
        ((0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(1000, 144_000, 1000)), ()),  # pythia, whole
        ((0, 1, 2, 4, 16, 32, 64, *range(1000, 9000, 1000)), (8,)),
        ((0, 100, 200, 300, 310), ()),  # a short last stretch
        ((0, 100, 200, 400, 500), (300,)),
        ((0, 1000, 2000, 3000, 8000, 13_000, 18_000), ()),  # another spacing from some step on
        ((0, 50, 100), ()),
        ((0, 1, 2, 3, 6, 9, 10), ()),  # whole: powers of two, then every third, and the last
        ((1, 2, 4, 8, 64, 128), (16, 32)),
        ((0, 1, 2, 4, 8, 16, 32, 64, 100, 200, 256), ()),  # a last step that happens to be a power
        ((), ()),
    ],
)
def test_gaps_are_what_the_spacing_promises(steps: tuple[int, ...], missing: tuple[int, ...]) -> None:
    assert missing_steps(steps) == missing


@pytest.mark.parametrize(
    ("steps", "late"),
    [((102_500, 103_000, 103_500, 104_000, 330_000, 330_223), 204), ((0, 1, 2, 3), 0),
     ((1, 2, 3, 4), 0), ((1000, 2000, 3000, 4000), 0),
     ((2000, 3000, 4000), 0), ((2500, 3500, 4500, 5500), 0), ((64, 128, 256, 512), 0), ((), 0)],
)  # fmt: skip
def test_a_first_gap_is_told_where_one_spacing_promises_the_steps_before(steps: tuple[int, ...], late: int) -> None:
    assert begins_late(steps) == late


@given(st.integers(2, 5000), st.integers(6, 40), st.data())
def test_a_step_taken_out_of_the_middle_is_missed(spacing: int, count: int, data: st.DataObject) -> None:
    steps = [spacing * n for n in range(count)]
    assert missing_steps(steps) == ()
    gone = steps.pop(data.draw(st.integers(2, count - 3)))
    assert gone in missing_steps(steps)


@given(st.integers(1, 2000), st.integers(1, 500))
def test_what_our_own_trainings_keep_lacks_nothing(steps: int, every: int) -> None:
    train = Train.model_validate(TRAIN).model_copy(update={"steps": steps, "checkpoint_every": every})
    assert missing_steps([done for done in range(steps + 1) if is_checkpoint(train, done)]) == ()


@given(st.text(max_size=300))
def test_any_card_is_read_or_found_fault_with(text: str) -> None:
    _, main = clean()
    run(published({}, main, card=f"---\n{text}\n---\n"))
