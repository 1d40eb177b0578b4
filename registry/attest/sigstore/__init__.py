"""The one door to sigstore-python and TUF: signing with an identity, and verifying that without a network.

sigstore-python comes with everything that a TUF client can sign with, Amazon's client among it where DVC brought that,
and builds a parser of each of its formats at once. None of it is needed here: what is left loads in two thirds of the
time.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel

UNUSED = "boto3"
"""What a signer of a TUF repository may keep its key with (securesystemslib.signer)."""


@contextmanager
def _lightly() -> Iterator[None]:
    """Within: UNUSED counts as not installed, if nobody loaded it yet; parsers are built when they are first used."""
    hidden = UNUSED not in sys.modules
    if hidden:
        sys.modules[UNUSED] = None  # type: ignore[assignment] # "not to be found", as the import system has it
    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
        if hidden:
            del sys.modules[UNUSED]


with _lightly():
    import sigstore.models
    import sigstore.verify  # noqa: F401
