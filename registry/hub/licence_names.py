"""The licences that the Hub knows, and how a card names one.

Source: huggingface.co/docs/hub/repositories-licenses.
"""

import re

LICENCES = frozenset((
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigscience-bloom-rail-1.0", "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd",
    "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5",
    "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0",
    "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0",
    "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "lppl-1.3c", "ms-pl", "mpl-2.0", "odc-by", "odbl",
    "openmdw-1.0", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl",
    "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "unknown", "other",
))  # fmt: skip
"""Identifiers that the Hub knows; `other` goes with `license_name` and `license_link`."""
SPELT_OTHERWISE = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl", "c-uda-1.0": "c-uda"}
"""SPDX's identifier -> the Hub's, where they are of one licence, and neither of GNU's."""
_OF_GNU = re.compile(r"(?P<name>[al]?gpl-[0-9.]+|gfdl)(-[0-9.]+)?(-only|-or-later|\+)?")


def is_known(name: str) -> bool:
    """Whether `name` is a licence that readers know: an SPDX expression, or an identifier of the Hub."""
    if name.lower() in LICENCES - {"unknown"}:
        return True
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(name)
    except InvalidLicenseExpression:
        return False
    return True


def fields(spdx: str) -> dict[str, str]:
    """The fields by which a card names the SPDX expression `spdx`: the Hub's own name for it, or `other` and its text.

    The Hub does not tell `only` from `or later`: the text is one. Law: `metadata.check_card` accepts them.
    """
    name = SPELT_OTHERWISE.get(spdx.lower(), spdx.lower())
    if gnu := _OF_GNU.fullmatch(name):
        name = gnu["name"]
    if name in LICENCES:
        return {"license": name}
    name = re.sub(r"[^a-z0-9.]+", "-", spdx.lower()).strip("-.")[:64]
    return {"license": "other", "license_name": name or "licence", "license_link": "LICENSE"}
