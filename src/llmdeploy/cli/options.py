"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Message = Annotated[str, typer.Option("--message", "-m", help="Why; kept in the history.")]
Wait = Annotated[
    str | None,
    typer.Option("--wait", metavar="DURATION", help="Wait so long for another run to end: 5m. Else exit code 4."),
]
NoRollback = Annotated[
    bool, typer.Option("--no-rollback", help="Leave what has failed as it is, for looking; exit code 7.")
]
Canary = Annotated[
    bool, typer.Option("--canary", help="One replica of each service first; the rest when it stays healthy.")
]
OnInterrupt = Annotated[
    Literal["abort", "detach"],
    typer.Option(
        "--on-interrupt",
        help="SIGTERM, or Ctrl-C without a terminal, stops a release under way and takes it back, or lets it finish.",
    ),
]
