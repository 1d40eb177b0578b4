"""Two servers on two hosts, behind nginx, over one folder and one S3: nothing that one does is lost by the other.

The hosts are namespaces of this machine (tests/hosts.py), so their locks are those of one kernel: what a network's file
system does is not tried here. Run by `make hosts`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry.hub.client import HubClient
from registry.manifest import Difference, Manifest
from registry.server.access.accounts import Accounts
from registry.server.access.tokens import Role
from tests import team_instance
from tests.hosts import Host
from tests.hub_instance import TOKEN, HubInstance
from tests.registry.server.asking import Answer, ask, batch, commit, put
from tests.registry.server.test_examples_of_proxies import EXAMPLES, free_port, needed, running

pytestmark = pytest.mark.hosts
REPO = "glasshouse/model"
PART = 1 << 20
COMMITS = 40


@dataclass(frozen=True)
class Several:
    """Two servers, and nginx before them.

    hubs: each, reached by itself.  front: the same, by nginx.  variables: what reaches S3.
    """

    hubs: tuple[HubInstance, HubInstance]
    front: HubInstance
    variables: dict[str, str]
    root: Path

    def logged(self, number: int) -> list[dict[str, Any]]:
        """The requests that a server has answered."""
        lines = (self.root.parent / f"access-{number}.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def within(self, number: int, *words: str) -> str:
        """What `glasshouse` says on a host."""
        host = Host(f"host-{number}", self.root.parent / f"host-{number}")
        command = [*host.within, sys.executable, "-m", "registry", *words]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.variables})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    """Both are started at the same time, over a folder in which nothing is yet."""
    nginx, folder, port = needed("nginx"), tmp_path_factory.mktemp("several"), free_port()
    root = folder / "hub"
    Accounts.of(root).issue("builder", Role.WRITE, ("glasshouse",), token=TOKEN)
    with team_instance.s3(folder, "hub") as s3, ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        variables = {**s3, "NO_PROXY": "127.0.0.1"}

        def begin(number: int) -> HubInstance:
            log = folder / f"access-{number}.log"
            options = ("--blobs", "s3://hub/blobs", "--url", f"http://127.0.0.1:{port}", "--proxy", "127.0.0.1")
            host = Host(f"host-{number}", folder / f"host-{number}")
            return stack.enter_context(
                HubInstance.start(root, part_size=PART, options=(*options, "--access-log", str(log)),
                                  within=host.within, variables=variables)
            )  # fmt: skip

        one, two = pool.map(begin, (1, 2))
        site = (EXAMPLES / "nginx-several.conf").read_text()
        for old, new in {
            "server 10.0.0.11:8080;": f"server {one.url.removeprefix('http://')};",
            "server 10.0.0.12:8080;": f"server {two.url.removeprefix('http://')};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port};",
            "    ssl_certificate /etc/ssl/hub.example.org.pem;\n": "",
            "    ssl_certificate_key /etc/ssl/hub.example.org.key;\n": "",
        }.items():
            assert old in site
            site = site.replace(old, new)
        kept = "".join(f"{each}_temp_path {folder}/{each};\n" for each in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        (folder / "site.conf").write_text(site)
        (folder / "main.conf").write_text(
            f"pid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{kept}include {folder}/site.conf;\n}}\n"
        )
        command = [nginx, "-p", str(folder), "-c", str(folder / "main.conf"), "-e", "stderr", "-g", "daemon off;"]
        stack.enter_context(running(command, port, log=str(folder / "nginx.log")))
        front = HubInstance(root, f"http://127.0.0.1:{port}", one.token, one.process)
        HubClient(front.url, front.token).repos.ensure(REPO)
        yield Several((one, two), front, variables, root)


def test_they_are_two_hosts(several: Several) -> None:
    """Another name and machine id each, and processes of the same numbers."""
    told = [
        subprocess.run([*Host(f"host-{n}", several.root.parent / f"host-{n}").within, "sh", "-c",
                        "hostname; cat /etc/machine-id; echo $$"], capture_output=True, text=True, check=True).stdout
        for n in (1, 2)
    ]  # fmt: skip
    one, two = (words.split() for words in told)
    assert one[0] != two[0] and one[1] != two[1] and one[2] == two[2]
    neighbours = [json.loads(path.read_text().splitlines()[0]) for path in (several.root / "servers").iterdir()]
    assert sorted(each["host"] for each in neighbours) == ["host-1", "host-2"]


def test_no_commit_is_lost(several: Several) -> None:
    """Many at once, through both, upon whatever the branch is then."""

    def one(number: int) -> int:
        while True:
            status, _, _ = commit(several.front, REPO, put(f"many/{number}.txt", str(number)))
            if status != 503:
                return status

    before = len(history(several))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(COMMITS))) == {200}
    assert len(history(several)) == before + COMMITS
    for hub in several.hubs:
        _, _, body = ask(hub, "GET", f"/api/models/{REPO}/tree/main/many")
        assert {row["path"] for row in json.loads(body)} == {f"many/{number}.txt" for number in range(COMMITS)}
    assert all(len([1 for line in several.logged(n) if "/commit/" in line["path"]]) > COMMITS // 4 for n in (1, 2))


def test_of_two_upon_the_same_commit_one_is_made(several: Several) -> None:
    for number in range(5):
        parent = history(several)[0]
        head = {"key": "header", "value": {"summary": "One of two", "parentCommit": parent}}

        def one(hub: HubInstance, number: int = number, head: dict[str, Any] = head) -> int:
            return commit(hub, REPO, head, put(f"race-{number}.txt", hub.url))[0]

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(one, several.hubs)) == [200, 412]


def test_an_upload_begun_at_one_is_completed_at_the_other(several: Several, tmp_path: Path) -> None:
    """Parts go wherever the proxy sends them; and by hand: told at one, sent to the other, committed at the first."""
    one, two = several.hubs
    data = os.urandom(5000)
    sha256, size = hashlib.sha256(data).hexdigest(), len(data)
    assert sent(several, two, data, told=one) == 200
    large = {"key": "lfsFile", "value": {"path": "by-hand.bin", "oid": sha256, "size": size}}
    assert commit(one, REPO, large)[0] == 200
    assert ask(two, "GET", f"/{REPO}/resolve/main/by-hand.bin")[2] == data
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(os.urandom(9 * PART + 5))
    (folder / "README.md").write_text("# A model\n")
    client, repo = HubClient(several.front.url, several.front.token), "glasshouse/parts"
    client.repos.ensure(repo)
    made = client.trees.publish(repo, folder, "Parts", client.refs.head(repo))
    assert client.trees.compare(repo, made, Manifest.of_directory(folder)) == Difference((), (), ())
    client.trees.download(repo, made, tmp_path / "copy")
    assert Manifest.of_directory(tmp_path / "copy") == Manifest.of_directory(folder)
    parts = [[line for line in several.logged(n) if line["method"] == "PUT"] for n in (1, 2)]
    assert min(map(len, parts)) >= 2, parts
    assert not list((several.root / "blobs").glob("sha256/??/??/*"))  # all of it is in S3


def test_one_blob_sent_to_both_at_once_is_kept_once(several: Several) -> None:
    for _ in range(3):
        data = os.urandom(3 * PART)
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda hub, data=data: sent(several, hub, data), several.hubs * 2)) == {200}
        sha256 = hashlib.sha256(data).hexdigest()
        large = {"key": "lfsFile", "value": {"path": f"{sha256[:9]}.bin", "oid": sha256, "size": len(data)}}
        assert commit(several.front, REPO, large)[0] == 200
        assert all(ask(hub, "GET", f"/{REPO}/resolve/main/{sha256[:9]}.bin")[2] == data for hub in several.hubs)


def test_what_one_is_told_holds_at_the_other_at_once(several: Several) -> None:
    """Tokens, rights, the index, and what is deleted."""
    one, two = several.hubs
    token = one.user("guest", Role.WRITE, "guests")
    made = json.loads(several.within(1, "hub", "token", "create", "passing", "--root", str(several.root), "--json"))
    for hub in several.hubs:
        assert ask(hub, "GET", "/api/whoami-v2", token=made["token"])[0] == 200
    several.within(2, "hub", "token", "revoke", made["id"], "--root", str(several.root))
    for hub in several.hubs:
        assert ask(hub, "GET", "/api/whoami-v2", token=made["token"])[0] == 401
    created = {"name": "hidden", "organization": "guests"}
    assert ask(one, "POST", "/api/repos/create", created, token=token)[0] == 200
    assert "guests/hidden" in listed(two) and "guests/hidden" in listed(one)
    assert ask(two, "GET", "/api/models/guests/hidden", token="")[0] == 200
    assert ask(one, "PUT", "/api/models/guests/hidden/settings", {"private": True}, token=token)[0] == 200
    assert ask(two, "GET", "/api/models/guests/hidden", token="")[0] == 404 and "guests/hidden" not in listed(
        two, token=""
    )
    boss = one.user("boss", Role.ADMIN)
    assert ask(two, "DELETE", "/api/repos/delete", created, token=boss)[0] == 200
    assert ask(one, "GET", "/api/models/guests/hidden", token=token)[0] == 404
    assert "guests/hidden" not in listed(one)


def test_one_dies_and_the_other_goes_on(several: Several) -> None:
    """Its locks go with it. Started again it takes its place, with the index made anew."""
    one, two = several.hubs
    host = Host("host-3", several.root.parent / "host-3")
    options = ("--blobs", "s3://hub/blobs")
    with HubInstance.start(several.root, options=options, within=host.within, variables=several.variables) as third:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(commit, third, REPO, put(f"dying-{n}.txt")) for n in range(4)]
            time.sleep(0.3)
            third.process.send_signal(signal.SIGKILL)
            ended = [each.result()[0] for each in asked if each.exception() is None]
        assert commit(two, REPO, put("after.txt"))[0] == 200
        names = {row["path"] for row in json.loads(ask(one, "GET", f"/api/models/{REPO}/tree/main")[2])}
        assert len([name for name in names if name.startswith("dying-")]) >= ended.count(200)
    with HubInstance.start(several.root, options=options, within=host.within, variables=several.variables) as third:
        assert REPO in listed(third) and len(list((several.root / "servers").iterdir())) == 3
        assert ask(third, "GET", f"/{REPO}/resolve/main/by-hand.bin")[0] == 200


def test_a_host_whose_locks_do_not_reach_is_refused(several: Several) -> None:
    """And so is one of another kernel, over a disk that is not known to be shared as it must be."""
    unlocked = "import fcntl; fcntl.flock = lambda *asked: None"  # a file system that knows no locks between hosts
    for name, before, words in (
        ("host-4", unlocked, "its locks are not seen here, so that commits of both would be lost"),
        ("host-5", "", "is not a file system that is known to show two hosts the same"),
    ):
        host = Host(name, several.root.parent / name, stranger=True)
        with (
            pytest.raises(RuntimeError, match=words),
            HubInstance.start(several.root, within=host.within, before=before, variables=several.variables),
        ):
            pass
    assert all(ask(hub, "GET", "/healthz")[0] == 200 for hub in several.hubs)


def test_what_they_left_is_whole(several: Several) -> None:
    """Looked at, and the unused taken away, by one host while the other takes commits."""
    root = str(several.root)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: [commit(several.hubs[0], REPO, put(f"late-{n}.txt"))[0] for n in range(8)])
        several.within(2, "serve", "--root", root, "--collect")
        assert set(asked.result()) == {200}
    several.within(1, "serve", "--root", root, "--check", "--all")


def sent(several: Several, hub: HubInstance, data: bytes, told: HubInstance | None = None) -> int:
    """How the server `hub` answers to a large file, by the link that it, or the server `told`, gave out."""
    action = batch(told or hub, REPO, hashlib.sha256(data).hexdigest(), len(data)).get("actions", {}).get("upload")
    return 200 if action is None else ask(hub, "PUT", action["href"].removeprefix(several.front.url), data, token="")[0]


def history(several: Several) -> list[str]:
    """The commits of the branch, the newest first, as both say."""
    said = [ask(hub, "GET", f"/api/models/{REPO}/commits/main?limit=1000") for hub in several.hubs]
    one, two = ([row["id"] for row in json.loads(answer[2])] for answer in said)
    assert one == two
    return one


def listed(hub: HubInstance, token: str | None = None) -> list[str]:
    """The models that a server's list has."""
    answer: Answer = ask(hub, "GET", "/api/models?limit=1000", token=token)
    return [row["id"] for row in json.loads(answer[2])]
