"""glasshouse data trace, sources, diff: what was trained on, when, and that nothing unsigned is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from registry.attest.policy import Policy
from registry.attest.verifier import Trust, Verifier
from registry.catalog import data_sources, entry, shelves, tracing, training_data
from registry.catalog.entry import Whom
from registry.catalog.training_data import TrainingData
from registry.cli import main
from registry.errors import DigestMismatch, GlasshouseError, InputError, Unavailable, VerificationError
from registry.hub.reference import DirectoryReference
from registry.records import layout
from registry.records.order import row, window
from registry.report import Verdict
from tests import synthetic_release
from tests.synthetic_release import TOKENS

CONTEXT, STEP_ROWS = 16, 8
PARAMS = {
    "seed": 7,
    "train": {"steps": 8, "micro_batches": 4, "micro_batch_rows": 2},
    "model": {"context": CONTEXT},
    "release": {"replay": {"order": {"seed": "seed", "context": "model.context"}}},
}
COUNTS = b"%d\n" % TOKENS * synthetic_release.DOCUMENTS
Signed = Callable[..., Path]
Opened = Callable[[Path], AbstractContextManager[TrainingData]]


def extra(counts: bytes | None = COUNTS, **changed: object) -> dict[str, bytes]:
    """What the release has beside what every synthetic one has."""
    params = json.dumps({**PARAMS, **changed}).encode()
    return {layout.PARAMS: params, **({} if counts is None else {layout.TOKEN_COUNTS: counts})}


@pytest.fixture
def opened() -> Opened:
    def read(folder: Path) -> AbstractContextManager[TrainingData]:
        return training_data.read(entry.read(shelves.find(str(folder), endpoint=None), Whom(Trust())))

    return read


def trained() -> list[str]:
    """The documents that are trained on, in order: each has TOKENS tokens."""
    return [each.path for each in synthetic_release.rows() if each.use == "train"]


def test_a_step_names_the_documents_of_its_rows_and_back(signed: Signed, opened: Opened) -> None:
    documents = trained()
    rows = (len(documents) * TOKENS - 1) // CONTEXT
    with opened(signed(extra=extra())) as data:
        seen: dict[str, set[int]] = {path: set() for path in documents}
        for step in range(1, 9):
            found = tracing.at_step(data, step)
            assert [each.position for each in found] == list(range((step - 1) * STEP_ROWS, step * STEP_ROWS))
            for each in found:
                assert each.number == row(7, each.position, rows)
                tokens = [documents[place // TOKENS] + f" {place % TOKENS}" for place in window(each.number, CONTEXT)]
                told = [f"{part.row.path} {place}" for part in each.documents for place in range(part.start, part.end)]
                assert told == tokens
                for part in each.documents:
                    seen[part.row.path].add(step)
        for path in documents:
            assert set(tracing.of_document(data, path).steps) == seen[path]
        assert [path for path in documents if not seen[path]] == documents[-1:]  # its tokens do not fill a row


def test_what_is_kept_from_training_was_never_seen(signed: Signed, opened: Opened) -> None:
    with opened(signed(extra=extra())) as data:
        found = tracing.of_document(data, "files:texts/texts/000.txt")
    assert (found.row.use, found.steps) == ("validation", ())


def test_sources_count_documents_bytes_and_tokens(signed: Signed, opened: Opened) -> None:
    with opened(signed(extra=extra())) as data:
        found = data_sources.shares(data)
    assert {group[1:]: (share.documents, share.tokens) for group, share in found.items()} == {
        ("CC0-1.0", "train", None): (20, 160),
        ("MIT", "train", None): (10, 80),
        ("MIT", "validation", None): (10, 80),
    }


@pytest.mark.parametrize("counts", [COUNTS[:-2], COUNTS + b"8\n", b"9\n7\n" * 20, b"0" + COUNTS])
def test_counts_that_do_not_belong_to_the_tokens_are_refused(signed: Signed, opened: Opened, counts: bytes) -> None:
    with opened(signed(extra=extra(counts))) as data, pytest.raises((VerificationError, InputError)):
        tracing.at_step(data, 1)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"release": {}}, Unavailable),
        ({"model": {}}, Unavailable),
        ({"model": {"context": 1000}}, Unavailable),
        ({"seed": "x"}, Unavailable),
        ({"train": {"steps": 9, "micro_batches": 4, "micro_batch_rows": 2}}, VerificationError),
        ({"train": {"steps": 8, "micro_batches": 4, "micro_batch_rows": 4}}, VerificationError),
    ],
)
def test_an_order_that_nobody_states_or_that_the_checkpoints_deny(
    signed: Signed, opened: Opened, changed: dict[str, object], problem: type[GlasshouseError]
) -> None:
    with opened(signed(extra=extra(COUNTS, **changed))) as data, pytest.raises(problem):
        tracing.at_step(data, 1)


def test_without_counts_nothing_is_guessed(signed: Signed, opened: Opened) -> None:
    with opened(signed(extra=extra(None))) as data:
        assert {share.tokens for share in data_sources.shares(data).values()} == {None}
        with pytest.raises(Unavailable, match="nothing says which tokens are whose"):
            tracing.of_document(data, trained()[0])


def test_a_record_that_was_changed_after_signing_is_seen(signed: Signed, opened: Opened) -> None:
    folder = signed(extra=extra())
    rows = folder / layout.DATA_ROWS
    rows.write_bytes(rows.read_bytes().replace(b"MIT", b"ISC"))
    with pytest.raises(DigestMismatch), opened(folder):
        pass


@pytest.mark.parametrize("step", [0, 9])
def test_there_are_no_other_steps(signed: Signed, opened: Opened, step: int) -> None:
    with opened(signed(extra=extra())) as data, pytest.raises(InputError, match="no step"):
        tracing.at_step(data, step)


@pytest.mark.parametrize(("words", "code"), [(["--key", "model.pem"], 0), ([], 3), (["--key", "stranger.pem"], 1)])
def test_the_commands_answer_by_who_signed(
    signed: Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    from registry.attest.localkey import KeySigner
    from tests.registry.attest.conftest import write_key

    folder = signed(extra=extra())
    write_key(tmp_path / "stranger.pem")
    for name in ("model", "stranger"):
        (tmp_path / f"public-{name}.pem").write_text(KeySigner(tmp_path / f"{name}.pem").public_key.pem)
    trust = [word if word == "--key" else str(tmp_path / f"public-{word}") for word in words]

    def run(*asked: str) -> tuple[int, object]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr("sys.argv", ["glasshouse", "data", *asked, *trust, "--json"])
            main()
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out)

    for asked in (
        ["trace", str(folder), "--step", "3"],
        ["trace", str(folder), "--document", trained()[3]],
        ["sources", str(folder)],
        ["diff", str(folder), str(folder)],
    ):
        ended, said = run(*asked)
        assert ended == code, said
        assert isinstance(said, dict) and "error" not in said


def test_rows_in_a_table_are_told_alike(signed: Signed, opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    lines, table = (signed(form, extra=extra(), form=form) for form in ("jsonl", "parquet"))
    with opened(lines) as one, opened(table) as other:
        assert [row.path for row in one.rows()] == [row.path for row in other.rows()]
        seen = [[each.documents[0].row.path for each in tracing.at_step(data, 3)] for data in (one, other)]
        assert seen[0] == seen[1]
        shares = [data_sources.shares(data) for data in (one, other)]
        assert shares[0] == shares[1]
        assert data_sources.as_json(other, shares[1])["sources"][0]["status"] == "rebuildable"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("sys.argv", ["glasshouse", "data", "sources", str(table)])
        main()
    assert "rebuildable" in capsys.readouterr().out
    (table / layout.DATA_TABLE).write_bytes((table / layout.DATA_TABLE).read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatch), opened(table):
        pass


SWAPPED = b"%d\n%d\n%d\n" % (TOKENS, TOKENS + 1, TOKENS - 1) + COUNTS[6:]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("counts", "code", "words"),
    [
        (COUNTS, 0, "how many tokens each became"),
        (SWAPPED, 1, "another train.index"),
        (COUNTS + b"1\n", 1, "more lines"),
    ],
)
def test_verify_counts_the_tokens_of_each_document_anew(
    signed: Signed, tmp_path: Path, form: str, counts: bytes, code: int, words: str
) -> None:
    """The records that are signed contradict one another: whoever signed them, step 5 says so."""
    from registry.attest.localkey import KeySigner
    from registry.verification.steps import verify

    folder = signed(extra=extra(counts), form=form)
    public = KeySigner(tmp_path / "model.pem").public_key
    verifier = Verifier(Policy(signers=(public,)))
    found = verify(folder, DirectoryReference(folder), "a copy", verifier)
    (check,) = [each for each in found.checks if each.subject == "tokens <- their counts"]
    assert check.verdict.exit_code == code and words in check.reason
    assert [each.verdict for each in found.checks if each.subject == "data manifest <- its rows"] == [Verdict.PASS]
