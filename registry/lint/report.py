"""What a look at a repository found, as programs and the command read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.hub.client import HubClient
from registry.lint import reading, rules, sarif
from registry.lint.rules import Finding, Level


@dataclass(frozen=True, slots=True)
class LintReport:
    """The faults of one repository."""

    repository: str
    """`owner/name`, or `datasets/owner/name`."""
    url: str
    """Where people read it."""
    steps: int
    """How many checkpoints of a training were looked at, beside main."""
    findings: tuple[Finding, ...]
    """What was found, in the order of the rules."""

    @property
    def clean(self) -> bool:
        """Whether there is neither an error nor a warning; notes do not count."""
        return all(finding.level is Level.NOTE for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"repo": self.repository, "findings": [finding.as_json() for finding in self.findings]}

    def as_sarif(self) -> dict[str, Any]:
        """The findings as a SARIF 2.1.0 log, which code hosts show beside the code."""
        from registry import __version__

        return sarif.log(self.url, self.findings, __version__)


def look(hub: HubClient, repository: str) -> LintReport:
    """What is wrong with `repository`, by trees, digests, headers, and a few numbers. Raises what HubClient does."""
    published = reading.read(hub, repository)
    findings = rules.lint(published)
    return LintReport(repository, f"{hub.endpoint}/{repository}", len(published.steps), findings)
