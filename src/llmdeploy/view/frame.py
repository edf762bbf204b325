"""The picture of a run at one moment, as lines that fit a terminal. Pure: model, size and time in, lines out."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from llmdeploy.events import CheckResult
from llmdeploy.view.model import Host, Run
from llmdeploy.view.servicerows import cell, rows
from llmdeploy.view.words import HOST, OTHER, SERVICE, Look, clock, count, names, one_line, seconds


@dataclass(frozen=True)
class Frame:
    """Draws a run. `height` is how many lines there are; `final` leaves nothing out except what did not change."""

    title: str
    width: int = 80
    height: int = 24
    unicode: bool = True
    final: bool = False

    def lines(self, run: Run, now: float) -> list[Text]:
        """Out: header, phases, and what goes on now: hosts before the release, then the services."""
        now = run.closed if run.closed is not None else now
        top = [self._header(run, now), *([self._phases(run, now)] if run.phases else []), Text()]
        room = 10_000 if self.final else max(self.height - len(top), 3)
        body = self._services(run, now, room) if run.services else self._hosts(list(run.hosts.values()), now, room)
        return [self._cut(line) for line in (*top, *body)]

    # --- the top

    def _header(self, run: Run, now: float) -> Text:
        left = Text(self.title, "bold")
        if run.number:
            left.append(f", release {run.number}", "")
        if run.taking_back:
            left.append(f", back to release {run.back_to}", "yellow")
            left.append(f": {run.done_back()} of {count(len(run.back), 'service')}", "")
        elif run.services:
            left.append(f", {run.done()} of {count(len(run.services), 'service')} done", "")
        time = clock(now - run.began)
        fill = ("─" if self.unicode else "-") * max(self.width - cell_len(left.plain) - len(time) - 2, 0)
        return left.append(f" {fill} ", "dim").append(time, "bold")

    def _phases(self, run: Run, now: float) -> Text:
        """One line. Where it gets too long the finished phases lose their seconds first."""
        for with_seconds in (True, False):
            line = Text()
            for phase in run.phases:
                going = phase.ended is None
                took = f" {seconds((phase.ended or now) - phase.began)}" if going or with_seconds else ""
                look = HOST["running" if going else "failed" if phase.bad else "ok"]
                line.append(self._sign(look), look.style).append(f" {phase.name}{took}  ", "bold" if going else "")
            if cell_len(line.plain.rstrip()) <= self.width:
                break
        return line

    # --- hosts

    def _hosts(self, hosts: list[Host], now: float, room: int) -> list[Text]:
        """Who is in trouble first, then who has been at its step for the longest; the rest is counted."""
        hosts = [host for host in hosts if host.bad] if self.final else hosts
        order = {"failed": 0, "unreachable": 0, "running": 1}
        ranked = sorted(hosts, key=lambda host: (order.get(host.state, 2), host.began, host.name))
        shown, rest = (ranked, []) if len(ranked) <= room else (ranked[: room - 1], ranked[room - 1 :])
        wide = max((cell_len(host.name) for host in shown), default=0)
        lines = [self._host(host, now, wide) for host in shown]
        if rest:
            running = sum(host.state == "running" for host in rest)
            lines.append(Text(f"  and {count(len(rest), 'more host')}, {running} of them at work", "dim"))
        return lines

    def _host(self, host: Host, now: float, wide: int) -> Text:
        look = HOST.get(host.state, OTHER)
        took = seconds(now - host.began) if host.state == "running" else ""
        line = self._state(look, host.state).append(f" {_pad(host.name, wide)}  ", "bold")
        line.append(f"{took:>7}  ").append(one_line(host.step))
        return line.append(f"  {one_line(host.detail)}", "dim") if host.detail else line

    # --- services

    def _services(self, run: Run, now: float, room: int) -> list[Text]:
        bad = [host for host in run.hosts.values() if host.bad]
        tail = self._hosts(bad, now, 3) + self._checks(run.checks)
        if run.taking_back:
            return self._way_back(run, now, room - len(tail)) + tail
        return rows(run.ordered(), now, room - len(tail), unicode=self.unicode) + tail

    def _way_back(self, run: Run, now: float, room: int) -> list[Text]:
        """What has failed, and below it what goes back."""
        failed, back = [service for service in run.ordered() if service.state == "failed"], list(run.back.values())
        wide = max(cell_len(service.name) for service in (*failed, *back))
        top = rows(failed, now, room // 3, unicode=self.unicode, wide=wide)
        if room > 3 and not all(check.ok for check in run.checks_before):
            top += self._checks(run.checks_before)
        top.append(Text(f"   everything back to release {run.back_to}:", "yellow"))
        return top + rows(back, now, room - len(top), unicode=self.unicode, wide=wide)

    def _checks(self, checks: list[CheckResult]) -> list[Text]:
        if not checks:
            return []
        bad = [check.name for check in checks if not check.ok]
        look = SERVICE["failed" if bad else "done"]
        text = f"{len(bad)} failed: {names(bad)}" if bad else "all answered"
        return [Text("   ").append_text(self._state(look, "checks")).append(f" {text}, of {len(checks)}")]

    # --- small things

    def _state(self, look: Look, word: str) -> Text:
        return cell(look, word, unicode=self.unicode)

    def _sign(self, look: Look) -> str:
        return look.sign if self.unicode else look.ascii

    def _cut(self, line: Text) -> Text:
        """To the width, with a mark where something is missing."""
        line.rstrip()
        if cell_len(line.plain) > self.width:
            mark = "…" if self.unicode else "~"
            line.truncate(self.width - 1)
            line.append(mark)
        line.no_wrap = True
        return line


def _pad(text: str, wide: int) -> str:
    return text + " " * (wide - cell_len(text))
