"""Error budgets: how fast each service uses up the failures that it may have in 30 days.

Windows and burn rates are those of Google's SRE Workbook, chapter 5 ("Alerting on SLOs"): a fast burn (14.4 times the
budget over an hour uses 2 % of it), a slower one (6 times over six hours, 5 %), a slow one (once over three days,
10 %); each must still go on in the short window, so that an alert ends when the errors do.
"""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group, Record, Rule, Severity
from llmdeploy.monitoring.rules.words import number, percent
from llmdeploy.monitoring.scope import Scope

_WINDOWS = {"30m": 1800, "1h": 3600, "6h": 21600, "3d": 259200}  # seconds; that of 5m is recorded by services.py
_MOST = 0.9  # a budget so large that no ratio could burn it fast enough still alerts when nearly everything fails


def groups(scope: Scope) -> list[Group]:
    """Error ratios over every window, and the alerts about them."""
    step = scope.monitoring.interval
    return [
        Group("slo-short", [*_ratio("5m"), *_window("30m", step), *_window("1h", step)]),
        # Long windows change slowly and cost most; more than five minutes apart, a series would have gaps.
        Group("slo-long", [*_window("6h", step), *_window("3d", step)], interval="2m"),
        Group("slo-month", [_left(scope)], interval="4m"),
        Group("slo-alerts", _alerts(scope)),
    ]


def _window(window: str, step: float) -> list[Rule]:
    """`step`: seconds between two values of the series of 5m. A service that is younger than the window has done
    nothing before: an average over the values that there are would count too many requests."""

    def mean(name: str) -> Rule:
        share = number(step / _WINDOWS[window])
        return Record(f"service:{name}:rate{window}", f"sum_over_time(service:{name}:rate5m[{window}]) * {share}")

    return [mean("requests"), mean("errors"), *_ratio(window)]


def _ratio(window: str) -> list[Rule]:
    return [
        Record(
            f"service:slo_errors:ratio_rate{window}",
            f"service:errors:rate{window} / (service:requests:rate{window} > 0)",
        )
    ]


def _left(scope: Scope) -> Rule:
    budget = number(scope.monitoring.alerts.error_budget)
    errors, requests = (f"sum_over_time(service:{name}:rate5m[30d:10m])" for name in ("errors", "requests"))
    return Record("service:slo_budget_left:ratio30d", f"1 - {errors} / ({requests} > 0) / {budget}")


def _alerts(scope: Scope) -> list[Rule]:
    return [
        _burn(scope, "ErrorBudgetBurnFast", 14.4, "1h", "5m", "2m", "page"),
        _burn(scope, "ErrorBudgetBurn", 6, "6h", "30m", "15m", "page"),
        _burn(scope, "ErrorBudgetBurnSlow", 1, "3d", "6h", "1h", "ticket"),
    ]


def _burn(scope: Scope, name: str, rate: float, long: str, short: str, for_: str, severity: Severity) -> Rule:
    alerts = scope.monitoring.alerts
    limit = min(rate * alerts.error_budget, _MOST)
    many = f"service:requests:rate{long} * {_WINDOWS[long]} >= {number(alerts.minimum)}"
    return Alert(
        name,
        f"""
        (service:slo_errors:ratio_rate{long} > {number(limit)})
        and on (service) (service:slo_errors:ratio_rate{short} > {number(limit)})
        and on (service) ({many})""",
        for_,
        severity,
        f"{{{{ $labels.service }}}}: {{{{ $value | humanizePercentage }}}} of the requests of {long} failed",
        f"The limit is {percent(limit)}: {number(rate)} times the budget of {percent(alerts.error_budget)} "
        "(`monitoring.alerts.error_budget`).",
    )
