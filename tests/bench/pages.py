"""The pages of a Hub with many models, asked by 8 clients at once; and MLflow's own search over as many versions.

Law: the models page, a search and a release page take less than 200 ms at the 95th percentile, and the server's memory
does not grow from one round to the next. `MODELS=200` makes a smaller Hub; each model has RELEASES releases.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from registry import api
from registry.attest.verifier import Trust
from registry.catalog import entry
from registry.catalog.entry import Whom
from registry.catalog.shelves import find_all
from registry.server.state import Hub
from registry.server.still.filling import fill
from registry.server.store import git
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key
from tests.registry.server.asking import ask

MODELS = int(os.environ.get("MODELS", "2000"))
RELEASES = 5
OWNERS = 40
CLIENTS = 8
TIMES = 240
MOST = 0.200
GROWS = 1.10
"""How much larger the server may be after a round than after the one before."""


def main() -> None:
    """Make the Hub and MLflow's registry, and ask both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder)
        with HubInstance.start(folder / "hub", options=("--rate", "100000")) as hub:
            numbers = count()
            print(f"{MODELS} models, {MODELS * RELEASES} releases; {CLIENTS} clients")
            print(f"the first list, with all of them read: {_timed(lambda: _page(hub, '/models')):.2f} s")
            pages: dict[str, Callable[[], None]] = {
                "the models page": lambda: _page(hub, "/models"),
                "a search": lambda: _page(hub, f"/models?q=model-{next(numbers) % 97}"),
                "a release page": lambda: _page(hub, _release(next(numbers))),
            }
            for _ in range(2):
                first = {told: _asked(once, hub) for told, once in pages.items()}
                size = _resident(hub)
            again = {told: _asked(once, hub) for told, once in pages.items()}
            for told, (seconds, cpu) in again.items():
                print(
                    f"{told}: {seconds * 1e3:.0f} ms at the 95th percentile ({first[told][0] * 1e3:.0f} the round "
                    f"before), {cpu * 1e3:.1f} ms of CPU in the server and its children"
                )
            grown = _resident(hub) / size
            print(f"the server's memory: {size / 1e6:.0f} MB, {grown:.2f} of it after another round")
        mlflow, cpu = _mlflow(folder)
        here, spent = again["a search"]
        print(f"MLflow's search of versions, in its own process: {mlflow * 1e3:.0f} ms at the 95th percentile, "
              f"{cpu * 1e3:.1f} ms of CPU; a search here: {here / mlflow:.2f} and {spent / cpu:.2f} of it")  # fmt: skip
        assert max(seconds for seconds, _ in again.values()) < MOST and grown < GROWS


def _release(number: int) -> str:
    model = number * 7919 % MODELS
    return f"/owner-{model % OWNERS}/model-{model}/tree/v1.0.{number % RELEASES}"


def _page(hub: HubInstance, path: str) -> None:
    assert ask(hub, "GET", path, headers={"Accept": "text/html"})[0] == 200, path


def _timed(once: Callable[[], None]) -> float:
    before = time.perf_counter()
    once()
    return time.perf_counter() - before


def _asked(once: Callable[[], None], hub: HubInstance | None = None) -> tuple[float, float]:
    """(the 95th percentile of TIMES askings by CLIENTS at once, what each costs of a processor), in seconds.

    hub: whose processor's time is told; this process's, else.
    """
    before = _spent(hub)
    with ThreadPoolExecutor(CLIENTS) as clients:
        found = statistics.quantiles(clients.map(lambda _: _timed(once), range(TIMES)), n=20)[-1]
    return found, (_spent(hub) - before) / TIMES


def _spent(hub: HubInstance | None) -> float:
    """Seconds of a processor that a server and the children that it waited for have had."""
    if hub is None:
        return time.process_time()
    told = Path(f"/proc/{hub.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, told[11:15])) / os.sysconf("SC_CLK_TCK")


def _resident(hub: HubInstance) -> int:
    pages = int(Path(f"/proc/{hub.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _fill(folder: Path) -> None:
    """One model is released; the others are copies of its repository."""
    signer = api.KeySigner(write_key(folder / "private.pem"))
    for number in range(RELEASES):
        release = folder / "releases" / str(number)
        synthetic_release.write(release, repo="owner-0/model-0", version=f"1.0.{number}", seed=number)
        api.sign(release, signer)
    made = Hub.open(folder / "hub")
    shelves = find_all(str(folder / "releases"), endpoint=None)
    placed = fill(made.repositories, [entry.read(shelf, Whom(Trust())) for shelf in shelves])
    seed = placed[0].repo.folder
    git.run(seed, "repack", "-a", "-d", "-q")
    for number in range(1, MODELS):
        owner = made.repositories / "models" / f"owner-{number % OWNERS}"
        owner.mkdir(exist_ok=True)
        shutil.copytree(seed, owner / f"model-{number}.git")


def _mlflow(folder: Path) -> tuple[float, float]:
    """As _asked, of MLflow's search for the versions of one model, among as many versions, by sqlite."""
    from mlflow import MlflowClient

    client = MlflowClient(registry_uri=f"sqlite:///{folder}/mlflow.db", tracking_uri=f"sqlite:///{folder}/mlflow.db")
    for number in range(MODELS):
        client.create_registered_model(f"model-{number}")
        for _ in range(RELEASES):
            client.create_model_version(f"model-{number}", source=f"s3://models/{number}")
    numbers = count()
    return _asked(lambda: _found(client, next(numbers) * 7919 % MODELS))


def _found(client: object, number: int) -> None:
    found = client.search_model_versions(f"name = 'model-{number}'")  # type: ignore[attr-defined]
    assert len(found) == RELEASES


if __name__ == "__main__":
    main()
