"""The command line: which commands there are. Heavy parts are imported by the verb that needs them, not here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llmdeploy import __version__
from llmdeploy.cli import files, operate, reading
from llmdeploy.cli.action import action
from llmdeploy.cli.grammar import ACTIONS, ActionGroup, Grammar
from llmdeploy.errors import EXIT_MEANING

EXAMPLES = """
Examples:

  llmdeploy init                           make a project here

  llmdeploy dev deploy                     the whole stack on this machine

  llmdeploy staging plan                   what a deploy would change

  llmdeploy production deploy --yes        in CI

  llmdeploy staging status --json
"""
EXIT_CODES = "Exit codes: " + " · ".join(f"{int(code)} {text}" for code, text in EXIT_MEANING.items())

app = typer.Typer(
    cls=Grammar,
    name="llmdeploy",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"From bare Linux servers to a healthy LLM service stack: llmdeploy ENV ACTION\n{EXAMPLES}",
    epilog=EXIT_CODES,
)
ACTIONS.info.cls = ActionGroup


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llmdeploy {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Root of the command line; the help text is set above."""


action(app, epilog="Example: llmdeploy init my-stack && cd my-stack && llmdeploy dev deploy")(files.init)
action(app)(files.environments)
action(app, epilog="Example: llmdeploy schema > .llmdeploy-schema.json")(files.schema)

action(ACTIONS, epilog="Example: llmdeploy staging deploy --yes")(operate.deploy)
action(ACTIONS, epilog="Exit code 10 when there is something to change, 0 when not.")(reading.plan)
action(ACTIONS, epilog="Exit code 7 when a check fails.")(reading.verify)
action(ACTIONS, epilog="Exit code 7 when a service is not healthy.")(reading.status)
action(ACTIONS)(files.validate)
action(ACTIONS, epilog="Example: llmdeploy production config services.gateway")(files.config)
action(ACTIONS, epilog="Exit code 1 when a host cannot be used as it is, 5 when one cannot be reached.")(reading.doctor)
action(ACTIONS)(operate.attach)


def main() -> None:
    """Entry point of the command `llmdeploy`."""
    app(args=sys.argv[1:], prog_name="llmdeploy")
