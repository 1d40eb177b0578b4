"""The adapters themselves, without a suite: what is known is told apart, and what is not there is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import ROOT
from tests.peers.__main__ import CHECKOUTS, SUITES
from tests.peers.intoto import outside
from tests.peers.served import adds_up
from tests.peers.tally import Tally


def test_a_known_failure_is_not_a_failure_and_another_is(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally({"slow": "it takes hours"})
    tally.tell(True, "fast")
    tally.tell(False, "slow/1", "timeout")
    assert tally.end()
    tally.tell(False, "broken", "two\nlines")
    assert not tally.end()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "   1 known: it takes hours", "1 passed, 0 failed", "BAD broken: two lines", "   1 known: it takes hours",
        "1 passed, 1 failed",
    ]  # fmt: skip


def test_a_suite_that_is_not_there_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.peers", str(tmp_path), "sigstore"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"git clone {CHECKOUTS['sigstore-conformance']} {tmp_path}/sigstore-conformance" in done.stdout
    assert {need for needs, _, _ in SUITES.values() for need in needs} | {"slsa-verifier"} == CHECKOUTS.keys()


def test_what_is_not_read_is_told_from_what_must_be() -> None:
    good = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "a", "digest": {"sha256": "0" * 64}}]}
    assert not outside(good)
    assert outside({**good, "_type": "https://in-toto.io/Statement/v0.1"})
    assert outside({**good, "subject": [{"name": "a", "digest": {"sha1": "0" * 40}}]})


def test_a_histogram_adds_up_or_does_not() -> None:
    class Sample:
        def __init__(self, name: str, value: float, **labels: str) -> None:
            self.name, self.value, self.labels = name, value, labels

    buckets = [Sample("s_bucket", 1, le="1"), Sample("s_bucket", 3, le="+Inf")]
    assert adds_up([*buckets, Sample("s_count", 3)])
    assert not adds_up([*buckets, Sample("s_count", 4)])
