"""Ways to tamper with a release, as many as come to mind: each with what the report must say of it.

A case spoils a copy of a good release, and knows which step must fail, on what, and why. The cases do not depend on the
release, but for its files: they run over a synthetic one in a moment, and over one that was really trained.

world.py  the release, its doubles, what a case is    spoil.py     how a copy is spoilt
cases.py  what anybody can do to it                   unlogged.py  to one that a certificate signed
gone_bad.py  what only its signer can; restated.py, too; contents.py: what it should not hold
"""

from tests.e2e.tampering.suite import attempt_all, told
from tests.e2e.tampering.world import NotAsExpected, World, world

__all__ = ["NotAsExpected", "World", "attempt_all", "told", "world"]
