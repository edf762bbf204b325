"""The command line: which commands there are. Heavy parts are imported by the verb that needs them, not here."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from llmdeploy import __version__
from llmdeploy.cli import (
    deploy,
    files,
    following,
    history,
    monitoring,
    reading,
    rollback,
    scale,
    secretfiles,
    swarm,
    tls,
    trust,
    update,
    upkeep,
)
from llmdeploy.cli.action import action
from llmdeploy.cli.grammar import ACTIONS, ActionGroup, Grammar, action_first
from llmdeploy.errors import EXIT_MEANING, Exit, InterruptedRunError, LlmdeployError, UsageError

EXAMPLES = """\b
Examples:
  llmdeploy init                       make a project here
  llmdeploy dev secrets init           make its secrets, once
  llmdeploy dev deploy                 the whole stack on this machine
  llmdeploy staging plan               what a deploy would change
  llmdeploy production deploy --yes    in CI
  llmdeploy production rollback --yes  in an incident
  llmdeploy staging status --json      for programs
"""
EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {int(code):>3}  {text}" for code, text in EXIT_MEANING.items())

app = typer.Typer(
    cls=Grammar,
    name="llmdeploy",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    subcommand_metavar="ENV ACTION [OPTIONS] | COMMAND",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"From bare Linux servers to a healthy LLM service stack: llmdeploy ENV ACTION\n\n{EXAMPLES}",
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


action(
    app, epilog="Example: llmdeploy init my-stack && cd my-stack && llmdeploy dev secrets init && llmdeploy dev deploy"
)(files.init)
action(app, epilog="Example: llmdeploy environments --json")(files.environments)
action(app, epilog="Example: llmdeploy schema catalogue > .catalogue.schema.json")(files.schema)

action(ACTIONS, epilog="Example: llmdeploy staging deploy --yes")(deploy.deploy)
action(ACTIONS, epilog="Example: llmdeploy staging plan; exit code 10 when there is something to change, 0 when not.")(
    reading.plan
)
action(ACTIONS, epilog="Example: llmdeploy staging update gateway --image gateway=registry.example/gateway:1.4")(
    update.update
)
action(ACTIONS, epilog="Example: llmdeploy production rollback --yes; rollback 12 goes to release 12.")(
    rollback.rollback
)
action(ACTIONS, epilog="Example: llmdeploy staging scale gateway=3 billing=2")(scale.scale)
action(ACTIONS, epilog="Example: llmdeploy staging abort --yes; exit code 0 when everything is back.")(following.abort)
action(ACTIONS, epilog="Example: llmdeploy staging verify; exit code 7 when a check fails.")(reading.verify)
action(ACTIONS, epilog="Example: llmdeploy staging status --json; exit code 7 when a service is not healthy.")(
    reading.status
)
action(
    ACTIONS,
    epilog="Example: llmdeploy staging history show 12; llmdeploy staging history diff 11 12 compares two; "
    "llmdeploy production history --dora --within 48h",
)(history.history)
action(
    ACTIONS,
    epilog="Examples: llmdeploy staging monitoring; llmdeploy staging monitoring open --tunnel; llmdeploy staging "
    "monitoring --remove",
)(monitoring.monitoring)
action(ACTIONS, epilog="Example: llmdeploy production validate --set services.gateway.replicas=3")(files.validate)
action(ACTIONS, epilog="Example: llmdeploy production config services.gateway")(files.config)
action(
    ACTIONS,
    epilog="Example: llmdeploy staging doctor; exit code 1 when a host cannot be used as it is, 5 when one cannot be "
    "reached.",
)(reading.doctor)
action(ACTIONS, epilog="Example: llmdeploy staging attach")(following.attach)
action(ACTIONS, epilog="Example: llmdeploy staging unlock --force -m 'the runner is gone'")(upkeep.unlock)
action(ACTIONS, epilog="Example: llmdeploy staging prune --yes")(upkeep.prune)
action(ACTIONS, epilog="Example: llmdeploy staging trust; exit code 5 when a host cannot be reached.")(trust.trust)
ACTIONS.add_typer(secretfiles.SECRETS, name="secrets")
ACTIONS.add_typer(swarm.SWARM, name="swarm")
ACTIONS.add_typer(tls.TLS, name="tls")


def main() -> int:
    """Entry point of the command `llmdeploy`: runs it and gives its exit code."""
    argv = action_first(sys.argv[1:])
    try:
        return int(app(args=argv, prog_name="llmdeploy", standalone_mode=False) or 0)
    except LlmdeployError as error:
        return _fail(" ".join(argv[:2]), error, argv)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(" ".join(argv[:2]), InterruptedRunError("interrupted"), argv)
    except Exception as error:
        # The parser's exceptions: Typer brings its own copy of Click, so they are known by what they can do.
        if not (hasattr(error, "format_message") and hasattr(error, "show")):
            raise
        return _refuse(error, argv)


def _refuse(error: Any, argv: list[str]) -> int:
    """What the parser does not accept, as text with the usage, or as JSON."""
    if "--json" not in argv:
        error.show()
        return int(Exit.USAGE)
    path = error.ctx.command_path if error.ctx else "llmdeploy"
    message = error.format_message()
    if message.startswith("Usage:"):  # the parser's way to say that nothing was asked for
        message = "no command given"
    return _fail(path.removeprefix("llmdeploy").strip(), UsageError(message, hint=f"{path} --help"), argv)


def _fail(command: str, error: LlmdeployError, argv: list[str]) -> int:
    from llmdeploy.view import show_error

    show_error(command, error, json="--json" in argv)
    return int(error.exit_code)
