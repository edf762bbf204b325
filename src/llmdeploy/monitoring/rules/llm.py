"""One vocabulary for what models do: the contract's own metrics, vLLM's, LiteLLM's and OpenTelemetry's become `llm:*`.

Sources of the names: vLLM and its production-stack's dashboards (`vllm:…`), LiteLLM's docs/proxy/prometheus.md
(`litellm_…`; its client library ends counters in `_total`), OpenTelemetry's semantic conventions for generative AI
(`gen_ai.…`, status Development; Prometheus turns dots into underscores and adds the unit).

A request that passes two services which both count it stands in both: `service` tells them apart. So it is with a
service that serves models and calls others: `source` tells its own requests (otel) from those it makes (otel-client).
"""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Group, Record, Rule
from llmdeploy.monitoring.scope import Scope

# Vocabulary → its label that names the model; `source` of what is recorded.
_MODEL = {
    "llmdeploy": "model",
    "vllm": "model_name",
    "litellm": "requested_model",
    "otel": "gen_ai_request_model",
    "otel-client": "gen_ai_request_model",
}
_HISTOGRAMS = {
    "ttft_seconds": {
        "llmdeploy": "llm_time_to_first_token_seconds",
        "vllm": "vllm:time_to_first_token_seconds",
        "litellm": "litellm_llm_api_time_to_first_token_metric",
        "otel": "gen_ai_server_time_to_first_token_seconds",
        "otel-client": "gen_ai_client_operation_time_to_first_chunk_seconds",
    },
    "tpot_seconds": {
        "llmdeploy": "llm_time_per_output_token_seconds",
        "vllm": "vllm:request_time_per_output_token_seconds",
        "litellm": "litellm_deployment_latency_per_output_token",
        "otel": "gen_ai_server_time_per_output_token_seconds",
        "otel-client": "gen_ai_client_operation_time_per_output_chunk_seconds",
    },
    "request_duration_seconds": {
        "llmdeploy": "llm_request_duration_seconds",
        "vllm": "vllm:e2e_request_latency_seconds",
        "litellm": "litellm_request_total_latency_metric",
        "otel": "gen_ai_server_request_duration_seconds",
        "otel-client": "gen_ai_client_operation_duration_seconds",
    },
}
_GAUGES = {
    "queue_depth": {"llmdeploy": "llm_queue_depth", "vllm": "vllm:num_requests_waiting"},
    "inflight": {
        "llmdeploy": "llm_inflight_requests",
        "vllm": "vllm:num_requests_running",
        "litellm": "litellm_in_flight_requests",
    },
}
_TOKENS = {
    "llmdeploy": {"": "llm_tokens_total"},
    "vllm": {"input": "vllm:prompt_tokens_total", "output": "vllm:generation_tokens_total"},
    "litellm": {"input": "litellm_input_tokens_metric_total", "output": "litellm_output_tokens_metric_total"},
}
_COST = {"llmdeploy": "llm_cost_usd_total", "litellm": "litellm_spend_metric_total"}
_FALLBACKS = {"llmdeploy": "llm_fallbacks_total", "litellm": "litellm_deployment_successful_fallbacks_total"}


def groups(_scope: Scope) -> list[Group]:
    """What is recorded of models."""
    return [
        Group("llm-requests", [*_requests(), *_tokens(), *_ratios()]),
        Group("llm-durations", _durations()),
        Group("llm-state", [*_gauges(), *_money()]),
        Group("llm-guards", _guards()),
    ]


def _select(name: str, matchers: str = "") -> str:
    """PromQL selector of a service's metric."""
    more = f",{matchers}" if matchers else ""
    return f'{name}{{job="services"{more}}}'


def _by_model(source: str, expr: str, keep: str = "") -> str:
    """PromQL: the sum of `expr` by service, model and `keep`, whatever the vocabulary calls the model."""
    label = _MODEL[source]
    if label != "model":
        expr = f'label_replace({expr}, "model", "$1", "{label}", "(.+)")'
    return f"sum by (service, model{keep}) ({expr})"


def _rate(source: str, name: str, matchers: str = "", keep: str = "", window: str = "5m") -> str:
    return _by_model(source, f"rate({_select(name, matchers)}[{window}])", keep)


def _requests() -> list[Rule]:
    def outcome(source: str, value: str, expr: str) -> Rule:
        return Record("llm:requests:rate5m", expr, {"source": source, "outcome": value})

    vllm = "vllm:request_success_total"
    failed, every = "litellm_proxy_failed_requests_metric_total", "litellm_proxy_total_requests_metric_total"
    failures = _rate("litellm", failed)
    return [
        Record(
            "llm:requests:rate5m",
            _rate("llmdeploy", "llm_requests_total", keep=", outcome"),
            {"source": "llmdeploy"},
        ),
        outcome("vllm", "ok", _rate("vllm", vllm, 'finished_reason=~"stop|length"')),
        outcome("vllm", "error", _rate("vllm", vllm, 'finished_reason="error"')),
        outcome("vllm", "cancelled", _rate("vllm", vllm, 'finished_reason="abort"')),
        outcome(
            "litellm", "ok", f"clamp_min({_rate('litellm', every)} - ({failures} or 0 * {_rate('litellm', every)}), 0)"
        ),
        outcome("litellm", "error", _rate("litellm", failed, 'exception_status!~"4.."')),
        outcome("litellm", "refused", _rate("litellm", failed, 'exception_status=~"4.."')),
        *(
            outcome(source, value, _rate(source, f"{_HISTOGRAMS['request_duration_seconds'][source]}_count", matchers))
            for source in ("otel", "otel-client")
            for value, matchers in (("ok", 'error_type=""'), ("error", 'error_type!=""'))
        ),
    ]


def _tokens() -> list[Rule]:
    rules: list[Rule] = []
    for source, names in _TOKENS.items():
        for direction, name in names.items():
            if direction:
                labels = {"source": source, "direction": direction}
                rules.append(Record("llm:tokens:rate5m", _rate(source, name), labels))
            else:
                rules.append(Record("llm:tokens:rate5m", _rate(source, name, keep=", direction"), {"source": source}))
    usage = f"rate({_select('gen_ai_client_token_usage_sum')}[5m])"
    usage = f'label_replace({usage}, "direction", "$1", "gen_ai_token_type", "(.+)")'
    return [*rules, Record("llm:tokens:rate5m", _by_model("otel", usage, ", direction"), {"source": "otel-client"})]


def _ratios() -> list[Rule]:
    every = "sum by (service, model, source) (llm:requests:rate5m)"
    errors = 'sum by (service, model, source) (llm:requests:rate5m{outcome="error"})'
    return [Record("llm:error_ratio:rate5m", f"({errors} or 0 * {every}) / ({every} > 0)")]


def _durations() -> list[Rule]:
    rules: list[Rule] = []
    for what, names in _HISTOGRAMS.items():
        for source, name in names.items():
            buckets = f"{name}_bucket"
            labels = {"source": source}
            rules.append(Record(f"llm:{what}_bucket:rate5m", _rate(source, buckets, keep=", le"), labels))
        quantile = f"histogram_quantile(0.95, sum by (service, model, source, le) (llm:{what}_bucket:rate5m)) >= 0"
        rules.append(Record(f"llm:{what}:p95_5m", quantile))
    return rules


def _gauges() -> list[Rule]:
    return [
        Record(f"llm:{what}", _by_model(source, _select(name)), {"source": source})
        for what, names in _GAUGES.items()
        for source, name in names.items()
    ]


def _money() -> list[Rule]:
    rules: list[Rule] = []
    for source, name in _COST.items():
        labels = {"source": source}
        rules.append(Record("llm:cost_usd:rate1h", _rate(source, name, window="1h"), labels))
        spent = _by_model(source, f"increase({_select(name)}[1d])")
        rules.append(Record("llm:cost_usd:increase1d", spent, labels))
    rules += [
        Record("llm:fallbacks:rate5m", _rate(source, name), {"source": source}) for source, name in _FALLBACKS.items()
    ]
    return rules


def _guards() -> list[Rule]:
    counted = {
        "ratelimit_rejections": ("ratelimit_rejections_total", "reason"),
        "auth_failures": ("auth_failures_total", "reason"),
        "billing_events": ("billing_events_total", "result"),
    }
    return [
        Record(f"llm:{what}:rate5m", f'sum by (service, {label}) (rate({name}{{job="services"}}[5m]))')
        for what, (name, label) in counted.items()
    ]
