"""A release as others meet it: signed with a key, on a Hub of our own; and the files that a maintainer has beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry import api
from registry.attest.policy import Policy
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key

REFERENCE = "hf://org/model@v1.0.0"


@dataclass(frozen=True)
class World:
    """What there is.

    folder: holds `model`, the signed release; `prepared`, the same unsigned; `private.pem`, `public.pem`.
    hub: where `model` is published as REFERENCE.  policy: trusts the one key.
    """

    folder: Path
    hub: HubInstance
    policy: Policy


@contextmanager
def published(folder: Path) -> Iterator[World]:
    """In `folder`, with variables of the environment that name the Hub, its token, and caches of their own."""
    signer = api.KeySigner(write_key(folder / "private.pem"))
    (folder / "public.pem").write_text(signer.public_key.pem)
    for name in ("model", "prepared"):
        synthetic_release.write(folder / name, repo="org/model", weights_bytes=2 << 20)
    api.sign(folder / "model", signer)
    with HubInstance.start(folder / "hub", organizations=("org",)) as hub, pytest.MonkeyPatch.context() as patch:
        for variable in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            patch.delenv(variable, raising=False)
        for variable, value in hub.environment(folder / "huggingface").items():
            patch.setenv(variable, value)
        patch.setenv("GLASSHOUSE_CACHE", str(folder / "cache"))
        api.publish(folder / "model")
        yield World(folder, hub, api.Policy(signers=(signer.public_key,)))
