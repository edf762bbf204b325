"""Results of `llmdeploy ENV secrets …`. Each function takes the `data` of its kind; values are only in `value`."""  # noqa: A005

from __future__ import annotations

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines
from llmdeploy.view.words import LEVEL, OTHER, Look, count

_STATE: dict[str, Look] = {
    "set": Look("✓", "+", "green"),
    "missing": Look("✗", "x", "bold red"),
    "placeholder": Look("!", "!", "yellow"),
    "unusable": Look("!", "!", "yellow"),
}
_FATE = (("made", "made"), ("replaced", "replaced"), ("removed", "removed"), ("kept", "kept as it was"))


def secrets(data: Data, unicode: bool) -> Lines:
    """`secrets: [{name, kind, store, used_by, state, parts}]`, `undeclared`, `file`."""
    if not data["secrets"]:
        yield Text("no secret is declared", "bold")
    else:
        grid = Grid("secret", "kind", "from", "state", "given to", unicode=unicode)
        for row in data["secrets"]:
            state = grid.state(_STATE.get(row["state"], OTHER), _state(row))
            grid.row(Text(row["name"], "bold"), row["kind"], row["store"], state, ", ".join(row["used_by"]))
        yield grid.table
    if data["undeclared"]:
        look = LEVEL["warning"]
        sign = look.sign if unicode else look.ascii
        yield Text(f"{sign} in {data['file']}, and nobody declares it: {', '.join(data['undeclared'])}", look.style)


def changed(data: Data, unicode: bool) -> Lines:
    """`made`, `replaced`, `removed`, `kept`: names by what became of them; `open`: rows as above; `notes`, `next`."""
    done = [f"{word}: {', '.join(data[fate])}" for fate, word in _FATE if data[fate]]
    yield Text(f"{data['environment']}: {'; '.join(done) if done else 'no value was changed'}", "bold")
    yield from (Text(f"  {note}") for note in data["notes"])
    for row in data["open"]:
        look = _STATE[row["state"]]
        text = Text(f"  {look.sign if unicode else look.ascii} {row['name']}: {_state(row)}", look.style)
        yield text.append(f"; {_remedy(row, data['environment'])}", "")
    yield from (Text(f"next: {step}") for step in data["next"])


def rekeyed(data: Data, _unicode: bool) -> Lines:
    """`files`, `next`."""
    if not data["files"]:
        yield Text("there is no secrets file; nothing was changed", "bold")
        return
    yield Text(f"{count(len(data['files']), 'file')} with a new password: {', '.join(data['files'])}", "bold")
    yield from (Text(f"next: {step}") for step in data["next"])


def value(data: Data, *, terminal: bool) -> str:
    """`value`, or `values` of several parts. Exactly these; on a terminal with a line break at the end."""
    text = data["value"] if "value" in data else "".join(data["values"].values())
    return f"{text}\n" if terminal and not text.endswith("\n") else str(text)


def _state(row: Data) -> str:
    """The state, and of which part it is where there are several."""
    parts = [part for part, state in row["parts"].items() if state == row["state"]]
    return row["state"] if len(parts) == len(row["parts"]) else f"{row['state']} ({', '.join(parts)})"


def _remedy(row: Data, environment: str) -> str:
    if row["store"] == "variable":
        return "its variable must be set"
    part = next(part for part, state in row["parts"].items() if state == row["state"])
    return f"llmdeploy {environment} secrets set {part}"


def certificate(data: Data, *, terminal: bool) -> str:  # noqa: ARG001 (the same in a pipe)
    """`certificate`: PEM."""
    return str(data["certificate"])
