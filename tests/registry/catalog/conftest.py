"""A Hub with two releases of one model, the second with other data, settings and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry import api
from registry.attest.verifier import Trust, Verifier
from registry.catalog.entry import Whom
from registry.records import layout
from tests import synthetic_release
from tests.published import World, published

FIRST, SECOND = "hf://org/model@v1.0.0", "hf://org/model@v1.0.1"
DROPPED = "files:texts texts/007.txt"
PARAMS = b"seed: 7\ntrain:\n  steps: 9\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with published(tmp_path_factory.mktemp("catalog")) as there, pytest.MonkeyPatch.context() as patch:
        rows = synthetic_release.rows
        patch.setattr(
            synthetic_release, "rows", lambda: (row for row in rows() if f"{row.source} {row.path}" != DROPPED)
        )
        second = there.folder / "second"
        synthetic_release.write(
            second, repo="org/model", version="1.0.1", seed=1, weights_bytes=2 << 20, extra={layout.PARAMS: PARAMS}
        )
        api.sign(second, api.KeySigner(there.folder / "private.pem"))
        api.publish(second)
        yield there


@pytest.fixture
def whom(world: World) -> Whom:
    """Who expects the maintainer's key."""
    verifier = Verifier(world.policy)
    return Whom(verifier.trust, verifier)


@pytest.fixture
def nobody() -> Whom:
    """Who expects nobody."""
    return Whom(Trust())


@pytest.fixture
def signed(tmp_path: Path) -> Callable[..., Path]:
    """Writes a release that a key of its own signed."""

    def write(name: str = "model", **fields: object) -> Path:
        from tests.registry.attest.conftest import write_key

        folder = tmp_path / name
        synthetic_release.write(folder, repo="org/model", **fields)  # type: ignore[arg-type]
        api.sign(folder, api.KeySigner(write_key(tmp_path / f"{name}.pem")))
        return folder

    return write
