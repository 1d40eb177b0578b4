"""The audit log: what was done with rights, each line sealing those before it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.errors import InputError
from registry.server.access.audit_log import FILE, FIRST, AuditLog
from registry.server.access.people import PeopleStore
from registry.server.access.tokens import Role, TokenStore
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put

COMMAND = [str(Path(sys.executable).parent / "glasshouse"), "hub", "log"]


def test_what_is_done_with_rights_is_written_down(tmp_path: Path) -> None:
    root, log = tmp_path / "hub", tmp_path / "access.log"
    with HubInstance.start(root, organizations=("lab",), options=("--access-log", str(log))) as hub:
        admin, api = hub.user("root", Role.ADMIN), "/api/models/lab/one"
        assert ask(hub, "POST", "/api/repos/create", {"name": "one", "organization": "lab"})[0] == 200
        assert commit(hub, "lab/one", put("a.txt"))[0] == 200  # no matter of rights
        _, headers, _ = ask(hub, "PUT", f"{api}/settings", {"private": True, "gated": "auto"})
        assert ask(hub, "POST", f"{api}/tag/main", {"tag": "v1"})[0] == 200
        assert ask(hub, "DELETE", f"{api}/tag/v1")[0] == 200
        assert ask(hub, "DELETE", f"{api}/tag/v1")[0] == 404  # nothing was done
        body = {"name": "one", "organization": "lab"}
        assert ask(hub, "DELETE", "/api/repos/delete", body, token=admin)[0] == 200
    TokenStore(root).revoke(TokenStore(root).list()[0].id)
    rows = list(AuditLog(root).lines())
    assert [(row["event"], row["by"]) for row in rows] == [
        ("user created", "operator"), ("organisation created", "operator"), ("role given", "operator"),
        ("token created", "operator"), ("user created", "operator"), ("token created", "operator"),
        ("repository created", "builder"),
        ("settings changed", "builder"), ("tag deleted", "builder"), ("repository deleted", "root"),
        ("token revoked", "operator"),
    ]  # fmt: skip
    settings = rows[7]
    assert settings["about"] == "lab/one" and settings["facts"]["private"] and settings["facts"]["gated"] == "auto"
    assert settings["facts"]["request"] == headers["x-request-id"]
    assert headers["x-request-id"] in {json.loads(line)["id"] for line in log.read_text().splitlines()}
    assert admin not in (root / FILE).read_text() and hub.token not in (root / FILE).read_text()
    told = subprocess.run([*COMMAND, "--root", str(root), "--head"], capture_output=True, text=True, check=True).stdout
    assert told.strip() == AuditLog(root).head()
    assert (
        "repository deleted"
        in subprocess.run([*COMMAND, "--root", str(root)], capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.parametrize("line", [0, 1, 2])
def test_what_is_changed_or_taken_away_is_found(tmp_path: Path, line: int) -> None:
    log = AuditLog(tmp_path)
    assert list(log.lines()) == [] and log.head() == FIRST
    for number in range(4):
        log.add("tag deleted", "alice", "lab/one", {"tag": f"v{number}"})
    whole, head = (tmp_path / FILE).read_bytes(), log.head()
    assert len(list(log.lines())) == 4
    lines = whole.splitlines(keepends=True)
    other = [each.replace(b"alice", b"bobby") if number == line else each for number, each in enumerate(lines)]
    for changed in (lines[:line] + lines[line + 1 :], other):
        (tmp_path / FILE).write_bytes(b"".join(changed))
        with pytest.raises(InputError, match="changed or taken away"):
            list(log.lines())
    done = subprocess.run([*COMMAND, "--root", str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 1
    (tmp_path / FILE).write_bytes(b"".join(lines[:-1]))
    assert log.head() != head  # of the last ones, the digest that was noted elsewhere tells


def test_nobody_else_on_the_machine_reads_it(tmp_path: Path) -> None:
    (tmp_path / FILE).touch(0o644)
    AuditLog(tmp_path).add("token created", "operator", "builder", {})
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / FILE).unlink()
    AuditLog(tmp_path).add("token created", "operator", "builder", {})
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_half_a_line_of_a_power_cut_is_taken_away(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.add("tag deleted", "alice", "lab/one", {})
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(b'{"about": "la')
    log.add("tag deleted", "alice", "lab/two", {})
    assert [row["about"] for row in log.lines()] == ["lab/one", "lab/two"]


def test_no_line_is_longer_than_what_is_read(tmp_path: Path) -> None:
    """An owner may say something long, and nobody could read the log any more, nor tell whether it was changed."""
    log = AuditLog(tmp_path)
    for words in ("x" * 16_300, "\x01" * 6000, "short"):
        log.add("member removed", "alice", "lab", {"user": words})
    lines = list(log.lines())
    assert [set(line["facts"]) for line in lines] == [{"sha256"}, {"sha256"}, {"user"}]
    assert lines[0]["facts"]["sha256"] != lines[1]["facts"]["sha256"]
    people = PeopleStore(tmp_path)
    people.create_user("alice")
    people.create_organisation("lab", "alice")
    with pytest.raises(InputError, match="is not a member of lab"):
        people.set_role("lab", "x" * 16_300, None)
