"""Turns a verb (a function of a Session) into a command: common options, the result shown, the exit code."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit, InterruptedRunError, LlmdeployError

Verb = Callable[..., Outcome]

Json = Annotated[bool, typer.Option("--json", help="One JSON envelope at the end (events before it, one a line).")]
Plain = Annotated[bool, typer.Option("--plain", help="One line per change of state, no live display.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only problems and the result.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more: every step on every host.")]
ProjectDir = Annotated[Path | None, typer.Option("--project", metavar="DIR", help="The project folder.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a value: services.gateway.replicas=3")
]
AskPass = Annotated[bool, typer.Option("--ask-become-pass", help="Ask for sudo's password on the hosts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
LimitTime = Annotated[
    str | None, typer.Option("--limit-time", metavar="DURATION", help="End the run after this long: 90s, 10m.")
]

_COMMON: dict[str, tuple[Any, Any]] = {
    "json": (Json, False),
    "plain": (Plain, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, 0),
    "project_dir": (ProjectDir, None),
    "overrides": (Overrides, []),
    "ask_become_pass": (AskPass, False),
}


def action(
    app: typer.Typer, *, name: str | None = None, epilog: str = "", context_settings: dict[str, Any] | None = None
) -> Callable[[Verb], Verb]:
    """Registers `verb(session, **own options) -> Outcome` as a command of `app`."""

    def register(verb: Verb) -> Verb:
        own = _own_parameters(verb)

        @wraps(verb)
        def command(ctx: typer.Context, **values: Any) -> None:
            common = {key: values.pop(key) for key in _COMMON}
            *environment, verbs = _typed(ctx)
            session = Session(environment=" ".join(environment), action=verbs, **common)
            raise typer.Exit(run_verb(session, lambda: verb(session, **values)))

        command.__signature__ = inspect.Signature([_context_parameter(), *own, *_common_parameters()])  # type: ignore[attr-defined]
        # Typer reads the annotations, and wraps() copied the verb's own.
        command.__annotations__ = {
            parameter.name: parameter.annotation for parameter in inspect.signature(command).parameters.values()
        }
        app.command(name=name or verb.__name__.replace("_", "-"), epilog=epilog, context_settings=context_settings)(
            command
        )
        return verb

    return register


def _typed(ctx: typer.Context) -> list[str]:
    """Out: the environment and its action (`secrets set` is one), or a command that has no environment."""
    names: list[str] = []
    here: Any = ctx
    while here.parent is not None:  # the root is the program
        names.insert(0, here.info_name or "")
        here = here.parent
    return [names[0], " ".join(names[1:])] if len(names) > 1 else names


def run_verb(session: Session, verb: Callable[[], Outcome]) -> int:
    """Runs a verb inside the one error boundary; shows what it gave or why it failed. Returns the exit code."""
    from llmdeploy.view import show_error, show_outcome

    try:
        outcome = verb()
    except LlmdeployError as error:
        show_error(session.command, error, json=session.json)
        return int(error.exit_code)
    except KeyboardInterrupt:
        show_error(session.command, InterruptedRunError("interrupted"), json=session.json)
        return int(Exit.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 (the boundary: a bug becomes a report, not a traceback)
        show_error(session.command, _bug(error), json=session.json)
        return int(Exit.FAILED)
    show_outcome(
        session.command,
        outcome.kind,
        outcome.data,
        exit_code=outcome.exit_code,
        errors=outcome.errors,
        json=session.json,
    )
    return int(outcome.exit_code)


def _bug(error: Exception) -> LlmdeployError:
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="llmdeploy-bug-", suffix=".txt", delete=False) as report:
        report.write("".join(traceback.format_exception(error)))
    return LlmdeployError(
        f"a bug in llmdeploy: {type(error).__name__}: {error}", hint=f"please report it with the file {report.name}"
    )


def _own_parameters(verb: Verb) -> list[inspect.Parameter]:
    hints = get_type_hints(verb, include_extras=True)
    parameters = list(inspect.signature(verb).parameters.values())[1:]
    return [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in parameters
    ]


def _common_parameters() -> list[inspect.Parameter]:
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _COMMON.items()
    ]


def _context_parameter() -> inspect.Parameter:
    return inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
