"""Models, cost, limits, keys and bills: llm.yml."""

from tests.unit.monitoring.alerts.cases import Case, Series, Table, scope

WHERE = 'job="services",service="proxy",instance="i"'


def requests(outcome: str) -> str:
    return f'llm_requests_total{{{WHERE},model="m",outcome="{outcome}"}}'


def tokens(direction: str) -> str:
    return f'llm_tokens_total{{{WHERE},model="m",direction="{direction}"}}'


def histogram(name: str, fast: int, slow: int) -> Series:
    """So many a minute below 0.1 s, and between 10 s and 30 s."""
    counts = {"0.1": fast, "1.0": fast, "10.0": fast, "30.0": fast + slow, "+Inf": fast + slow}
    return {f'{name}_bucket{{{WHERE},model="m",le="{le}"}}': f"0+{count}x40" for le, count in counts.items()}


def of(name: str, more: str = "") -> str:
    return f"{name}{{{WHERE}{more}}}"


MODEL = ',model="m"'
REASON = ',reason="unknown_key"'
BUSY = {requests("ok"): "0+60x40"}
HEALTHY: Series = {
    **BUSY,
    requests("error"): "0x40",
    requests("refused"): "0+9x40",
    tokens("output"): "0+900x40",
    **histogram("llm_time_to_first_token_seconds", 60, 0),
    **histogram("llm_time_per_output_token_seconds", 900, 0),
    of("llm_queue_depth", MODEL): "3x40",
    of("llm_cost_usd_total", MODEL): "0+0.01x40",
    of("llm_fallbacks_total", MODEL): "0+1x40",
    of("ratelimit_rejections_total", REASON): "0+9x40",
    of("auth_failures_total", REASON): "0+9x40",
    of("billing_event_lag_seconds"): "5x40",
    of("billing_events_total", ',result="lost"'): "0x40",
    of("billing_events_total", ',result="recorded"'): "0+60x40",
    of("vllm:kv_cache_usage_perc", ',model_name="m"'): "0.5x40",
    of("litellm_deployment_state", ',litellm_model_name="m",api_provider="p"'): "0x40",
}
PROXY = {"service": "proxy"}
AT = {**PROXY, "model": "m"}
VLLM_WAITING = of("vllm:num_requests_waiting", ',model_name="m"')
CASES = [
    Case("FirstTokenSlow", {**BUSY, **histogram("llm_time_to_first_token_seconds", 30, 30)}, "20m", [AT]),
    Case("FirstTokenSlow", {**BUSY, **histogram("llm_time_to_first_token_seconds", 60, 0)}, "20m"),
    Case("FirstTokenSlow", {requests("ok"): "0+1x40", **histogram("llm_time_to_first_token_seconds", 0, 1)}, "20m"),
    Case("TokensSlow", {**BUSY, **histogram("llm_time_per_output_token_seconds", 0, 60)}, "20m", [AT]),
    Case("TokensSlow", {**BUSY, **histogram("llm_time_per_output_token_seconds", 60, 0)}, "20m"),
    Case("QueueGrowing", {of("llm_queue_depth", MODEL): "5+2x40"}, "30m", [AT]),
    Case("QueueGrowing", {VLLM_WAITING: "5+2x40"}, "30m", [AT]),
    Case("QueueGrowing", {of("llm_queue_depth", MODEL): "90-2x40"}, "30m"),  # it gets shorter
    Case("QueueGrowing", {of("llm_queue_depth", MODEL): "0+0.2x40"}, "30m"),
    Case("ModelErrors", {requests("ok"): "0+50x40", requests("error"): "0+10x40"}, "15m", [AT]),
    Case("ModelErrors", {requests("ok"): "0+50x40", requests("refused"): "0+10x40"}, "15m"),
    Case("ModelErrors", {requests("ok"): "0+1x40", requests("error"): "0+1x40"}, "15m"),  # too few
    Case(
        "ModelErrors",
        {
            of("litellm_proxy_total_requests_metric_total", ',requested_model="m"'): "0+60x40",
            of("litellm_proxy_failed_requests_metric_total", ',requested_model="m",exception_status="503"'): "0+20x40",
        },
        "15m",
        [AT],
    ),
    Case("FallbacksMany", {**BUSY, of("llm_fallbacks_total", MODEL): "0+30x40"}, "20m", [PROXY]),
    Case("FallbacksMany", {**BUSY, of("llm_fallbacks_total", MODEL): "0+3x40"}, "20m"),
    Case("NoTokens", {**BUSY, tokens("output"): "9x40"}, "15m", [AT]),
    Case("NoTokens", {**BUSY, tokens("output"): "0+9x40"}, "15m"),
    Case("NoTokens", BUSY, "15m"),  # nobody counts tokens
    Case("NoTokens", {requests("ok"): "9x40", tokens("output"): "9x40"}, "15m"),  # nobody asks
]


def guarded(what: str, values: str) -> Series:
    """So many a second, as it is recorded."""
    return {f'llm:{what}:rate5m{{service="proxy",reason="r"}}': values}


GUARDS = [
    Case("RateLimitSurge", guarded("ratelimit_rejections", "0.02x60 1x30"), "75m", [PROXY]),
    Case("RateLimitSurge", guarded("ratelimit_rejections", "1x90"), "75m"),  # as always
    Case("RateLimitSurge", guarded("ratelimit_rejections", "0x60 0.02x30"), "75m"),  # six in five minutes
    Case("AuthFailureSurge", guarded("auth_failures", "0.02x60 1x30"), "75m", [PROXY]),
    Case("AuthFailureSurge", guarded("auth_failures", "1x90"), "75m"),
    Case("BillingLag", {of("billing_event_lag_seconds"): "900x40"}, "20m", [PROXY]),
    Case("BillingLag", {of("billing_event_lag_seconds"): "60x40"}, "20m"),
    Case("BillingEventsLost", {of("billing_events_total", ',result="lost"'): "0x5 3x40"}, "10m", [PROXY]),
    Case("BillingEventsLost", {of("billing_events_total", ',result="recorded"'): "0+60x40"}, "10m"),
    Case("VllmCacheFull", {of("vllm:kv_cache_usage_perc", ',model_name="m"'): "0.97x40"}, "20m", [PROXY]),
    Case("VllmCacheFull", {of("vllm:kv_cache_usage_perc", ',model_name="m"'): "0.97x9 0.5 0.97x9 0.5 0.97x9"}, "20m"),
]
COST = [
    # A dollar in ten minutes is 144 a day.
    Case("CostBurn", {of("llm_cost_usd_total", MODEL): "0+1x120"}, "2h", [{}]),
    Case("CostBurn", {of("litellm_spend_metric_total", ',model="m"'): "0+1x120"}, "2h", [{}]),
    Case("CostBurn", {of("llm_cost_usd_total", MODEL): "0+0.5x120"}, "2h"),
    Case("DailyCostReached", {of("llm_cost_usd_total", MODEL): "0+20x90"}, "2h", [{}]),
    Case("DailyCostReached", {of("llm_cost_usd_total", MODEL): "5000+5x90"}, "2h"),
]
STATE = of("litellm_deployment_state", ',litellm_model_name="m",api_provider="p",api_base="b"')
TEAM = ',team="1",team_alias="blue"'
GPU = ',gpu="0",Hostname="h"'
PACKS = [
    Case("LitellmModelDown", {STATE: "2x40"}, "10m", [PROXY]),
    Case("LitellmModelDown", {STATE: "1x40"}, "10m"),
    Case(
        "LitellmBudgetLow",
        {
            of("litellm_remaining_team_budget_metric", TEAM): "5x40",
            of("litellm_team_max_budget_metric", TEAM): "100x40",
        },
        "10m",
        [{"team_alias": "blue"}],
    ),
    Case(
        "LitellmBudgetLow",
        {
            of("litellm_remaining_team_budget_metric", TEAM): "5x40",
            of("litellm_team_max_budget_metric", TEAM): "Inf Inf Inf Inf Inf Inf Inf Inf Inf Inf Inf",  # no budget
        },
        "10m",
    ),
    Case("GpuErrors", {of("DCGM_FI_DEV_XID_ERRORS", GPU): "0x5 79x40"}, "8m", [{"gpu": "0"}]),
    Case("GpuErrors", {of("DCGM_FI_DEV_XID_ERRORS", GPU): "79x5 0x40"}, "8m"),  # the driver began anew
    Case("GpuHot", {of("DCGM_FI_DEV_GPU_TEMP", GPU): "91x40"}, "20m", [{"gpu": "0"}]),
    Case("GpuHot", {of("DCGM_FI_DEV_GPU_TEMP", GPU): "70x40"}, "20m"),
]
TABLES = [
    Table("llm-alerts.yml", CASES, HEALTHY, scope(), also=["llm.yml"]),
    Table("llm-alerts.yml", COST, {}, scope(), also=["llm.yml"], step="10m"),
    Table("llm-alerts.yml", [*GUARDS, *PACKS], {}, scope()),
]
