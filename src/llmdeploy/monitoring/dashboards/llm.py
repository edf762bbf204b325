"""Models: how many requests and tokens, how fast, at what price, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target, Variable
from llmdeploy.monitoring.dashboards.panels import Graph, Number
from llmdeploy.monitoring.dashboards.shared import made
from llmdeploy.monitoring.scope import Scope

_CHOSEN = '{service=~"$service",model=~"$model"}'
_SERVICE = '{service=~"$service"}'
_VARIABLES = [
    Variable("service", "Service", "label_values(llm:requests:rate5m, service)", several=True),
    Variable("model", "Model", 'label_values(llm:requests:rate5m{service=~"$service"}, model)', several=True),
]
_OUTCOMES = {"ok": "green", "error": "red", "refused": "yellow", "cancelled": "text"}
_DURATIONS = {
    "ttft": "Time to first token",
    "tpot": "Time per output token",
    "request_duration": "Duration of requests",
}


def dashboard(scope: Scope) -> Dashboard:
    """Where a model is called, by the word of the services that call it or serve it."""
    about = "Requests, tokens, latency and cost of models. Names of vLLM, LiteLLM and OpenTelemetry count as well."
    rows = [
        Row("Now", list(_now(scope))),
        Row("Requests", list(_requests())),
        Row("Latency", list(_latency(scope))),
        Row("Tokens and cost", list(_tokens(scope))),
        Row("Limits, keys, bills", list(_guards())),
    ]
    return made(scope, "llm", "LLM traffic", about, rows, _VARIABLES)


def _now(scope: Scope) -> Iterator[Panel]:
    budget, latency = scope.monitoring.alerts.error_budget, scope.monitoring.alerts.latency
    errors = 'sum(llm:requests:rate5m{service=~"$service",model=~"$model",outcome="error"})'
    spent = f"sum(llm:cost_usd:increase1d{_CHOSEN})"
    yield Number(title="Requests", targets=[Target(f"sum(llm:requests:rate5m{_CHOSEN})")], unit="reqps")
    yield Number(
        title="Errors",
        targets=[Target(f"({errors} or vector(0)) / (sum(llm:requests:rate5m{_CHOSEN}) > 0)")],
        unit="percentunit",
        decimals=2,
        thresholds=[(budget, "orange"), (5 * budget, "red")],
    )
    yield Number(
        title="Time to first token, p95",
        targets=[Target(_quantile(0.95, "ttft"))],
        unit="s",
        thresholds=[(latency / 2, "red")],
    )
    yield Number(title="Output tokens", targets=[Target(_tokens_of("output"))], unit="suffix: tokens/s")
    yield Number(
        title="Spent in 24 hours",
        targets=[Target(spent)],
        unit="currencyUSD",
        decimals=2,
        thresholds=[(scope.monitoring.alerts.daily_cost, "red")] if scope.monitoring.alerts.daily_cost else (),
    )
    yield Number(title="Waiting requests", targets=[Target(f"sum(llm:queue_depth{_CHOSEN})")], unit="short")


def _quantile(share: float, what: str, by: str = "") -> str:
    buckets = f"llm:{what}_seconds_bucket:rate5m{_CHOSEN}"
    return f"histogram_quantile({share}, sum by (le{by}) ({buckets})) >= 0"


def _tokens_of(direction: str, by: str = "") -> str:
    chosen = f'{{service=~"$service",model=~"$model",direction="{direction}"}}'
    return f"sum{by} (llm:tokens:rate5m{chosen})"


def _requests() -> Iterator[Panel]:
    yield Graph(
        title="Requests by model",
        targets=[Target(f"sum by (model) (llm:requests:rate5m{_CHOSEN})", "{{model}}")],
        unit="reqps",
        stacked=True,
    )
    yield Graph(
        title="How they ended",
        about="error: the fault of the service or the provider. refused: the caller's.",
        targets=[Target(f"sum by (outcome) (llm:requests:rate5m{_CHOSEN})", "{{outcome}}")],
        unit="reqps",
        stacked=True,
        colours=_OUTCOMES,
    )
    yield Graph(
        title="Errors by model",
        targets=[Target(f"max by (service, model) (llm:error_ratio:rate5m{_CHOSEN})", "{{service}}: {{model}}")],
        unit="percentunit",
    )
    yield Graph(
        title="Waiting requests",
        targets=[Target(f"sum by (service, model) (llm:queue_depth{_CHOSEN})", "{{service}}: {{model}}")],
        unit="short",
    )
    yield Graph(
        title="Requests in work",
        targets=[Target(f"sum by (service, model) (llm:inflight{_CHOSEN})", "{{service}}: {{model}}")],
        unit="short",
    )
    yield Graph(
        title="Fallbacks",
        about="Requests that went to another model than the one they asked for.",
        targets=[Target(f"sum by (service, model) (llm:fallbacks:rate5m{_CHOSEN})", "{{service}}: {{model}}")],
        unit="reqps",
    )


def _latency(scope: Scope) -> Iterator[Panel]:
    limits = {"ttft": scope.monitoring.alerts.latency / 2, "request_duration": scope.monitoring.alerts.latency}
    for what, title in _DURATIONS.items():
        yield Graph(
            title=f"{title}: p50, p95, p99",
            targets=[Target(_quantile(share, what), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99)],
            unit="s",
        )
    for what, title in _DURATIONS.items():
        yield Graph(
            title=f"{title} by model, p95",
            targets=[Target(_quantile(0.95, what, ", model"), "{{model}}")],
            unit="s",
            limit=limits.get(what),
        )


def _tokens(scope: Scope) -> Iterator[Panel]:
    for direction in ("input", "output"):
        yield Graph(
            title=f"{direction.capitalize()} tokens by model",
            targets=[Target(_tokens_of(direction, " by (model)"), "{{model}}")],
            unit="suffix: tokens/s",
            stacked=True,
        )
    output, every = _tokens_of("output"), f"sum(llm:requests:rate5m{_CHOSEN})"
    yield Graph(
        title="Output tokens per request",
        targets=[Target(f"{output} / ({every} > 0)", "tokens")],
        unit="short",
    )
    yield Graph(
        title="Cost by model",
        about="US dollars an hour, as of the last hour.",
        targets=[Target(f"3600 * sum by (model) (llm:cost_usd:rate1h{_CHOSEN})", "{{model}}")],
        unit="currencyUSD",
        stacked=True,
        width=12,
    )
    yield Graph(
        title="Spent in 24 hours",
        targets=[Target(f"sum(llm:cost_usd:increase1d{_CHOSEN})", "spent")],
        unit="currencyUSD",
        limit=scope.monitoring.alerts.daily_cost,
        width=12,
    )


def _guards() -> Iterator[Panel]:
    yield Graph(
        title="Refused: too many requests",
        targets=[Target("sum by (service, reason) (llm:ratelimit_rejections:rate5m)", "{{service}}: {{reason}}")],
        unit="reqps",
        width=6,
    )
    yield Graph(
        title="Answers with 429",
        about="HTTP 429 and ResourceExhausted of gRPC, by every service that gives them.",
        targets=[
            Target(
                'sum by (service) (service:requests_by_code:rate5m{code=~"429|(?i:resource_?exhausted)"})',
                "{{service}}",
            )
        ],
        unit="reqps",
        width=6,
    )
    yield Graph(
        title="Refused: keys",
        targets=[Target("sum by (service, reason) (llm:auth_failures:rate5m)", "{{service}}: {{reason}}")],
        unit="reqps",
        width=6,
    )
    yield Graph(
        title="Bills",
        targets=[Target("sum by (result) (llm:billing_events:rate5m)", "{{result}}")],
        unit="cps",
        colours={"lost": "red"},
        width=6,
    )
    yield Graph(
        title="Age of the oldest event that is not billed",
        targets=[Target('max by (service) (billing_event_lag_seconds{job="services"})', "{{service}}")],
        unit="s",
        width=24,
        height=6,
    )
