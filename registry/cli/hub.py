"""`glasshouse hub`: what belongs to a Hub of one's own, besides serving it."""

from __future__ import annotations

from registry.cli import tokens
from registry.cli.tree import App

app = App(help="Look after a Hub of your own.", no_args_is_help=True)
app.add_typer(tokens.app, name="token")
