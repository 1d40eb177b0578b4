"""schemathesis over the server's OpenAPI document: no answer of 500 or more, and every refusal in the form it promises.

GLASSHOUSE_BENCH_SECONDS (180) makes it shorter. The document that the fuzzer reads is the server's own; in three rounds
of four its paths lead to what exists, for at random it would see little but 404.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from schemathesis.checks import not_a_server_error, response_schema_conformance

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from registry.server.check import examine
from tests.hub_instance import HubInstance

SECONDS = float(os.environ.get("GLASSHOUSE_BENCH_SECONDS", 180))
REPO = "glasshouse/model"
NO_NUL = r"^[^\x00]*$"
KNOWN = {
    "kind": ["models"],
    "revision": ["main", "v1", "refs/pr/1", "step-1", "0" * 40],
    "path": ["README.md", "data/train.bin", "data", "nothing"],
    "number": ["1", "2"],
}
"""What the parameters of paths are, where the fuzzer aims."""


def main() -> None:
    """Fuzz for SECONDS, each time with another seed, as an admin and as nobody; then check the store."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    seed = random.SystemRandom().randrange(1 << 32)
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        root = Path(name) / "hub"
        counts = Counter[int]()
        with HubInstance.start(root, options=("--workers", "2", "--rate", "10000")) as hub:
            furnish(hub, REPO, Path(name) / "folder")
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                counts += fuzz(hub, REPO if seed % 4 else None, examples=20, seed=seed, end=end)
                seed += 1
        found = examine(root)
    print(f"{SECONDS:.0f} s, {counts.total()} requests, the last seed {seed - 1}: {dict(sorted(counts.items()))}")
    print(f"store: {found.repositories} repositories, {len(found.faults)} faults")
    assert not found.faults, found.faults


def fuzz(hub: HubInstance, repo: str | None, *, examples: int, seed: int, end: float = float("inf")) -> Counter[int]:
    """`examples` requests to each operation of the document: {status: answers}. Raises AssertionError for a failure."""
    document = requests.get(f"{hub.url}/openapi.json", timeout=30).json()
    loosened = loose(aimed(document, repo) if repo else document)
    schema = schemathesis.openapi.from_dict(loosened)
    tokens, counts, chance = (hub.token, hub.user("root", Role.ADMIN), ""), Counter[int](), random.Random(seed)
    with requests.Session() as session:
        for result in schema.get_all_operations():
            if time.monotonic() > end:
                break
            operation = result.ok()  # type: ignore[union-attr]

            @hypothesis.settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.seed(seed)
            @hypothesis.given(case=operation.as_strategy())
            def one(case: schemathesis.Case[Any]) -> None:
                token = chance.choice(tokens)
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                response = case.call(base_url=hub.url, session=session, headers=headers, timeout=30)
                counts[response.status_code] += 1
                case.validate_response(response, checks=[not_a_server_error, response_schema_conformance])

            one()
    return counts


def furnish(hub: HubInstance, repo: str, folder: Path) -> None:
    """Put into a new repository what KNOWN names."""
    client = HubClient(hub.url, hub.token)
    client.repos.ensure(repo)
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("# A model\n")
    (folder / "data" / "train.bin").write_bytes(bytes(range(256)))
    client.refs.tag(repo, "v1", client.trees.publish(repo, folder, "Files", client.refs.head(repo)), "A tag")
    client.pulls.propose(repo, "main", {"more.txt": b"more"}, "More")


def aimed(document: dict[str, Any], repo: str) -> dict[str, Any]:
    """The document, its paths leading to `repo`."""
    owner, name = repo.split("/")
    known = KNOWN | {"owner": [owner], "name": [name, f"{name}.git"]}
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"enum": known[parameter["name"]]}
    return document


def loose(schema: Any) -> Any:
    """The same without the pattern of every text, which is slow to make strings for: so NUL is sent, too."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if (key, value) != ("pattern", NO_NUL)}
        return {key: loose(value) for key, value in kept.items()}
    return [loose(each) for each in schema] if isinstance(schema, list) else schema


@schemathesis.serializer("application/x-ndjson")
def lines(context: object, value: Any) -> bytes:
    """One JSON value a line."""
    rows = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(row).encode() for row in rows)


if __name__ == "__main__":
    main()
