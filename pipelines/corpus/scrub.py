"""Addresses of e-mail and secrets in texts, replaced by what they are.

Secrets are what the patterns of detect-secrets know by their form: keys of clouds and services, tokens, passwords in
addresses, private keys. What only looks random is left: in code and prose nearly all of that is harmless.

Law: a text that is scrubbed again does not change.
Sources: detect-secrets, plugins; RFC 7468 for private keys; HTML, "valid e-mail address", with a dot in the domain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache

from registry.records.data_row import Scrubbed

MARKS: Mapping[Scrubbed, str] = {"emails": "<EMAIL>", "secrets": "<SECRET>"}
"""What stands in the text afterwards."""
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.{0,20000}?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL
)


def scrubbed(text: str, kinds: Collection[Scrubbed]) -> tuple[str, dict[Scrubbed, int]]:
    """The text without what is of `kinds`, and how often something of each was replaced; no zeros."""
    found: dict[Scrubbed, int] = {}
    for kind in sorted(kinds, reverse=True):  # secrets first: a password in an address looks like e-mail
        for pattern in _patterns(kind):
            text, count = pattern.subn(MARKS[kind], text)
            if count:
                found[kind] = found.get(kind, 0) + count
    return text, found


@cache
def _patterns(kind: Scrubbed) -> tuple[re.Pattern[str], ...]:
    return (_EMAIL,) if kind == "emails" else (_PRIVATE_KEY, *_known_secrets())


def _known_secrets() -> list[re.Pattern[str]]:
    """The patterns of every plugin that knows secrets by their form, in the order of the plugins' names."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.plugins.base import RegexBasedDetector
    from detect_secrets.plugins.ip_public import IPPublicDetector

    plugins = sorted(get_mapping_from_secret_type_to_class().values(), key=lambda plugin: plugin.__name__)
    known = [
        plugin() for plugin in plugins if issubclass(plugin, RegexBasedDetector) and plugin is not IPPublicDetector
    ]
    return [pattern for plugin in known for pattern in plugin.denylist]
