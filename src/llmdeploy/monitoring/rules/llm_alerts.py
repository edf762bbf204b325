"""Alerts about models, their cost, limits, keys and bills."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group, Rule
from llmdeploy.monitoring.rules.words import number, percent, seconds
from llmdeploy.monitoring.scope import Scope

_PER_TOKEN = 0.2  # seconds; slower than people read
_QUEUE = 10  # requests that wait, without the queue getting shorter
_ERRORS, _FALLBACKS = 0.05, 0.2  # of the requests
_SURGE = 3  # times the mean of the last day
_LAG = 600  # seconds that a usage event may wait for its bill
_BY = "sum by (service, model) "


def groups(scope: Scope) -> list[Group]:
    """The alerts, those about cost only where a daily cost is given."""
    return [
        Group("llm-speed-alerts", _speed(scope)),
        Group("llm-answer-alerts", _answers(scope)),
        Group("llm-cost-alerts", _cost(scope)),
        Group("llm-guard-alerts", _guards(scope)),
    ]


def _busy(scope: Scope) -> str:
    minimum = number(scope.monitoring.alerts.minimum)
    return f"on (service, model) ({_BY}(llm:requests:rate5m) * 300 >= {minimum})"


def _speed(scope: Scope) -> list[Rule]:
    first = scope.monitoring.alerts.latency / 2
    return [
        Alert(
            "FirstTokenSlow",
            f"(max by (service, model) (llm:ttft_seconds:p95_5m) > {number(first)}) and {_busy(scope)}",
            "10m",
            "ticket",
            "{{ $labels.model }} at {{ $labels.service }}: the first token takes {{ $value | humanizeDuration }}",
            f"p95; the limit is {seconds(first)}, half of `monitoring.alerts.latency`.",
        ),
        Alert(
            "TokensSlow",
            f"(max by (service, model) (llm:tpot_seconds:p95_5m) > {number(_PER_TOKEN)}) and {_busy(scope)}",
            "10m",
            "ticket",
            "{{ $labels.model }} at {{ $labels.service }}: p95 for each token is {{ $value | humanizeDuration }}",
            f"The limit is {seconds(_PER_TOKEN)}: slower than people read.",
        ),
        Alert(
            "QueueGrowing",
            f"""
            ({_BY}(min_over_time(llm:queue_depth[10m])) > {_QUEUE})
            and on (service, model) ({_BY}(deriv(llm:queue_depth[10m])) > 0)""",
            "5m",
            "ticket",
            "{{ $labels.service }}: {{ $value }} requests or more for {{ $labels.model }} wait, and they get more",
        ),
    ]


def _answers(scope: Scope) -> list[Rule]:
    output = f'{_BY}(llm:tokens:rate5m{{direction="output"}})'
    good = f'{_BY}(llm:requests:rate5m{{outcome="ok"}})'
    minimum = number(scope.monitoring.alerts.minimum)
    return [
        Alert(
            "ModelErrors",
            f"(max by (service, model) (llm:error_ratio:rate5m) > {number(_ERRORS)}) and {_busy(scope)}",
            "5m",
            "page",
            "{{ $labels.model }} at {{ $labels.service }} fails {{ $value | humanizePercentage }} of the requests",
        ),
        Alert(
            "FallbacksMany",
            f"""
            (sum by (service) (llm:fallbacks:rate5m)
              / (sum by (service) (llm:requests:rate5m) > 0) > {number(_FALLBACKS)})
            and on (service) (sum by (service) (llm:requests:rate5m) * 300 >= {minimum})""",
            "10m",
            "ticket",
            "{{ $labels.service }}: {{ $value | humanizePercentage }} of requests go to other models than asked for",
            f"The limit is {percent(_FALLBACKS)}.",
        ),
        Alert(
            "NoTokens",
            f"({good} * 300 >= {minimum}) and on (service, model) ({output} == 0)",
            "5m",
            "page",
            "{{ $labels.model }} at {{ $labels.service }} answers without a single token",
        ),
    ]


def _cost(scope: Scope) -> list[Rule]:
    limit = scope.monitoring.alerts.daily_cost
    if limit is None:
        return []
    told = f"`monitoring.alerts.daily_cost` is {number(limit)} US dollars."
    return [
        Alert(
            "CostBurn",
            f"sum(llm:cost_usd:rate1h) * 86400 > {number(limit)}",
            "30m",
            "ticket",
            'The models cost {{ $value | printf "%.2f" }} US dollars a day at the pace of the last hour',
            told,
        ),
        Alert(
            "DailyCostReached",
            f"sum(llm:cost_usd:increase1d) > {number(limit)}",
            "5m",
            "page",
            'The models cost {{ $value | printf "%.2f" }} US dollars in the last 24 hours',
            told,
        ),
    ]


def _guards(scope: Scope) -> list[Rule]:
    return [
        _surge(scope, "RateLimitSurge", "ratelimit_rejections", "refuses {{ $value }} requests a second over limits"),
        _surge(scope, "AuthFailureSurge", "auth_failures", "refuses {{ $value }} keys a second"),
        Alert(
            "BillingLag",
            f'max by (service) (billing_event_lag_seconds{{job="services"}}) > {_LAG}',
            "10m",
            "ticket",
            "{{ $labels.service }}: usage waits {{ $value | humanizeDuration }} for its bill",
        ),
        Alert(
            "BillingEventsLost",
            'sum by (service) (increase(billing_events_total{job="services",result="lost"}[15m])) > 0',
            "",
            "ticket",
            "{{ $labels.service }} lost {{ $value | humanize }} usage events: nobody will be billed for them",
        ),
    ]


def _surge(scope: Scope, name: str, what: str, summary: str) -> Rule:
    """More than three times what the last day had, and enough to matter; a first day compares with what there is."""
    now, day = (
        f"sum by (service) ({expr})" for expr in (f"llm:{what}:rate5m", f"avg_over_time(llm:{what}:rate5m[1d])")
    )
    return Alert(
        name,
        f"""
        ({now} > {_SURGE} * {day})
        and on (service) ({now} * 300 >= {number(scope.monitoring.alerts.minimum)})""",
        "10m",
        "ticket",
        "{{ $labels.service }} " + summary.replace("{{ $value }}", "{{ $value | humanize }}"),
        f"That is more than {_SURGE} times the mean of the last day.",
    )
