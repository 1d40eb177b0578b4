"""`glasshouse openness`: how open a release, or any repository on a Hub, is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from registry.cli import output
from registry.cli.catalog import Json, whom_of
from registry.cli.signing import grouped
from registry.cli.tree import App
from registry.cli.verify import Endpoint, Verifying
from registry.files import write_atomic

if TYPE_CHECKING:
    from registry.catalog.openness import OpennessLook
    from registry.openness.assessment import Judged

EXAMPLE = (
    "Example: glasshouse openness hf://org/model@v1.0.0 --at-least II. "
    "Exit codes: 0 looked at, or open enough; 1 less open; 2 bad input; 3 could not tell."
)
WIDTH = 80
app = App()


@app.command("openness", epilog=EXAMPLE)
@grouped
def openness(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, any repository on a Hub, or a directory.")
    ],
    trust: Verifying,
    at_least: Annotated[
        Literal["I", "II", "III"] | None,
        typer.Option("--at-least", help="End in 1 where it is of a less open class, in 3 where that is not known."),
    ] = None,
    endpoint: Endpoint = None,
    badge: Annotated[
        Path | None, typer.Option("--badge", help="Write a badge of the class to this file, as SVG, for a README.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say of each component why, and its files.")] = False,
    as_json: Json = False,
) -> None:
    """Tell how open a model is: by the Model Openness Framework, and by the OSAID.

    A release is judged by its signed records, another repository by what its Hub shows. Neither is verified here:
    glasshouse verify does that, with a policy that says `openness:`.
    """
    from registry.catalog.openness import look

    found = look(reference, whom_of(trust), endpoint=endpoint)
    if badge is not None:
        write_atomic(badge, _badge(found).encode())
    if as_json:
        output.data(found.as_json())
    else:
        for line in _table(found, verbose):
            print(output.printable(line))
    raise typer.Exit(_code(found, at_least))


def _code(found: OpennessLook, at_least: Literal["I", "II", "III"] | None) -> int:
    from registry.openness.framework import is_as_open
    from registry.report import Verdict

    shown = found.assessment
    if found.contradiction is not None or (found.signature and found.signature.verdict is Verdict.FAIL):
        return Verdict.FAIL.exit_code
    if at_least is None or is_as_open(shown.reached, at_least):
        return Verdict.PASS.exit_code
    return (Verdict.UNKNOWN if is_as_open(shown.at_most, at_least) else Verdict.FAIL).exit_code


def _badge(found: OpennessLook) -> str:
    """The class that is reached. Beside it stands whatever makes it less than known."""
    from registry.openness import badge
    from registry.report import Verdict

    shown, signature = found.assessment, found.signature
    if found.contradiction is not None:
        return badge.of_class(shown.reached, fault="its record differs")
    if signature is not None and signature.verdict is Verdict.FAIL:
        return badge.of_class(shown.reached, fault="signature fails")
    if signature is None or signature.verdict is Verdict.UNKNOWN:
        return badge.of_class(shown.reached, doubt="not signed" if signature is None else "signer not known")
    return badge.of_class(shown.reached)


def _table(found: OpennessLook, verbose: bool) -> Iterator[str]:
    """Lines of WIDTH columns at most, but for words that are longer."""
    from registry.openness import osaid
    from registry.openness.assessment import FRAMEWORK, called

    shown = found.assessment
    yield from _folded(f"{shown.subject}: {called(shown.reached)} of {FRAMEWORK}")
    if shown.at_most != shown.reached:
        yield from _folded(f"What is unknown leaves it open to doubt: at most {called(shown.at_most)}.", 2)
    yield from _folded(f"By {found.basis}.", 2)
    if found.signature is not None:
        yield from _folded(f"Signed by {found.signature.words}: {found.signature.verdict}.", 2)
    if found.contradiction is not None:
        yield from _folded(f"FAIL: {found.contradiction}.", 2)
    yield ""
    for one in shown.judged:
        yield _row(one)
        if verbose:
            yield from _details(one)
    if shown.next_class:
        yield ""
        yield f"To be {called(shown.next_class)}, it lacks"
        for one in shown.lacking:
            yield from _folded(f"{one.component.title} ({one.state}): {one.why}", 2)
    yield ""
    met = {True: "met", False: "not met", None: "cannot be told"}[osaid.verdict(shown.osaid)]
    yield f"Open Source AI Definition 1.0: {met}"
    for asked in osaid.REQUIREMENTS:
        yield f"  {asked.title:<37} {shown.osaid[asked.name]}"


def _row(one: Judged) -> str:
    optional = "*" if one.component.optional else " "
    licence, count = one.licence or "", len(one.files)
    files = f"{count} file{'s' if count != 1 else ''}" if count else ""
    told = licence if len(licence) <= 15 else f"{licence[:14]}…"
    row = f"{one.component.of_class:<3}{optional} {one.component.title:<28} {one.state:<11} {told:<15} {files}"
    return row.rstrip()


def _details(one: Judged) -> Iterator[str]:
    yield from _folded(one.why, 5)
    for file in one.files[:MAX_FILES]:
        yield f"     {file.at}: {file.path}"
        yield f"       sha256:{file.sha256}" if file.sha256 else "       not measured"
    if len(one.files) > MAX_FILES:
        yield f"     and {len(one.files) - MAX_FILES} more: --json has them all"


MAX_FILES = 5


def _folded(text: str, indent: int = 0) -> list[str]:
    import textwrap

    first, rest = " " * indent, " " * (indent + 2)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False)
