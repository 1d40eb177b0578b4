"""What came out of a suite: counted, told as it comes, and ended in one line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts what passed, what failed, and what fails for a reason that is known.

    known: pattern of a case's name -> why it fails. One that is mended loses its line.
    loud: whether to tell what passed, too.
    """

    known: Mapping[str, str] = field(default_factory=dict)
    loud: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, good: bool, name: str, words: object = "") -> None:
        """One case: whether it came out as it must."""
        why = None if good else next((why for pattern, why in self.known.items() if re.search(pattern, name)), None)
        self.counts["passed" if good else f"known: {why}" if why else "failed"] += 1
        if self.loud or not (good or why):
            print(f"{'ok ' if good else 'BAD'} {name}: {' '.join(str(words).split())[:300]}", flush=True)

    def end(self) -> bool:
        """Tell the counts, `N passed, M failed` last; whether nothing failed that is not known."""
        for kind, number in sorted(self.counts.items()):
            if kind.startswith("known"):
                print(f"{number:4} {kind}")
        print(f"{self.counts['passed']} passed, {self.counts['failed']} failed", flush=True)
        return not self.counts["failed"]
