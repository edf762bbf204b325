"""What is asked before a change, and what is refused because nobody can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from llmdeploy.cli.session import Session
from llmdeploy.errors import Exit, InterruptedRunError, LlmdeployError, UsageError


def refuse_unasked(session: Session, *, confirm: bool, yes: bool) -> None:
    """Raises UsageError where the environment wants to be asked and there is nobody to answer."""
    if confirm and not yes and not session.can_ask:
        raise UsageError(
            f"{session.environment} asks before every change, and there is no terminal to ask on",
            hint=f"llmdeploy {session.command} --yes",
        )


def ask_about(session: Session, plan: Mapping[str, Any], question: str) -> None:
    """Shows the plan and asks; raises where the answer is not yes."""
    from llmdeploy.view import show_outcome

    show_outcome(session.command, "plan", plan, exit_code=Exit.CHANGES, errors=[], json=False)
    if not agreed(question):
        raise UsageError("not confirmed; nothing was changed")


def agreed(question: str) -> bool:
    """The answer of a person; no is the default. Raises InterruptedRunError on Ctrl-C."""
    try:
        return typer.confirm(question, default=False)
    except typer.Abort:
        raise InterruptedRunError("interrupted at the question; nothing was changed") from None


def refuse_problems(problems: list[dict[str, Any]]) -> None:
    """Raises LlmdeployError with all errors among the problems of a plan."""
    errors = [problem for problem in problems if problem["level"] == "error"]
    if not errors:
        return
    lines = [
        f"  {one['host']}: {one['message']}" + (f"\n      → {one['hint']}" if one["hint"] else "") for one in errors
    ]
    count = f"{len(errors)} problem{'s' if len(errors) > 1 else ''}"
    raise LlmdeployError(f"{count} in the way; nothing was changed:\n" + "\n".join(lines), details={"problems": errors})
