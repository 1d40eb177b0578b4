"""Does this machine promise the bits of that one? Where it does not, other bits accuse nobody."""

from __future__ import annotations

from registry.records.environment import Environment

CPU_BOUND = ("native", "cuda")
"""Profiles whose bits are promised on one type of machine only; those of others are promised on every one."""
PACKAGES = ("torch", "numpy", "blas", "transformers")
"""Software that no profile makes up for."""


def foreign(signed: Environment, here: Environment) -> tuple[str, ...]:
    """Why other bits could come out here without anybody having lied; empty where the profile promises the same."""
    where, there = here.machine, signed.machine
    pairs = [
        ("numeric profile", signed.profile.digest, here.profile.digest),
        ("architecture", there.architecture, where.architecture),
        *((name, getattr(signed.software, name), getattr(here.software, name)) for name in PACKAGES),
    ]
    builds = signed.software.builds or {}, here.software.builds or {}
    pairs += [(f"build of {name}", builds[0][name], builds[1][name]) for name in sorted(builds[0].keys() & builds[1])]
    if signed.profile.name in CPU_BOUND:
        pairs += [
            ("CPU", there.cpu, where.cpu),
            ("CPU features", ", ".join(there.features), ", ".join(where.features)),
            ("code path", signed.profile.capability, here.profile.capability),
            ("BLAS code path", signed.profile.blas_core, here.profile.blas_core),
            ("C library", there.libc, where.libc),
        ]
    pairs += [("accelerator", str(there.accelerator), str(where.accelerator))]
    return tuple(f"{what}: {theirs[:80]!r} there, {ours[:80]!r} here" for what, theirs, ours in pairs if theirs != ours)
