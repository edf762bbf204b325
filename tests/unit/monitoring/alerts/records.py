"""Raw series in, recorded series out: the values are worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from llmdeploy.monitoring.rules import rule_groups
from llmdeploy.monitoring.scope import Scope


@dataclass(frozen=True)
class Recorded:
    """A world of series, and what expressions over recorded ones give in it after a while; None: nothing.

    files  the rule files that record them
    """

    name: str
    files: Sequence[str]
    series: Mapping[str, str]
    expected: Mapping[str, float | None]
    at: str = "20m"


def records_test(record: Recorded, scope: Scope) -> str:
    """The YAML of promtool for one of them; the rule files are beside it. Values may differ by rounding."""
    groups = rule_groups(scope)
    return yaml.safe_dump(
        {
            "rule_files": list(record.files),
            "evaluation_interval": "1m",
            "group_eval_order": [group.name for name in record.files for group in groups[name]],
            "tests": [
                {
                    "name": record.name,
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values} for name, values in record.series.items()],
                    "promql_expr_test": [_check(expr, value, record.at) for expr, value in record.expected.items()],
                }
            ],
        },
        sort_keys=False,
    )


def _check(expr: str, value: float | None, at: str) -> dict[str, Any]:
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    return {"expr": f"round(sum({expr}), 0.0001)", "eval_time": at, "exp_samples": samples}


def _services(name: str, **labels: str) -> str:
    return _series(name, job="services", service="web", **labels)


def _series(metric: str, /, **labels: str) -> str:
    matchers = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{metric}{{{matchers}}}"


def _http(code: str, route: str = "/v1", instance: str = "a") -> str:
    # The demo's own label `service` arrives as exported_service.
    return _services(
        "http_requests_total", exported_service="web", instance=instance, method="GET", route=route, code=code
    )


def _grpc(code: str, service: str = "llmdemo.Model") -> str:
    return _services("grpc_server_handled_total", instance="a", grpc_service=service, grpc_method="m", grpc_code=code)


def _buckets(name: str, counts: Mapping[str, int], **labels: str) -> dict[str, str]:
    return {_services(f"{name}_bucket", instance="a", le=le, **labels): f"0+{n}x30" for le, n in counts.items()}


def _haproxy(name: str, instance: str = "e1", proxy: str = "my-web-8000", **labels: str) -> str:
    return _series(f"haproxy_{name}", job="edge", service="edge", instance=instance, proxy=proxy, **labels)


def _container(name: str, number: int = 1, **labels: str) -> str:
    return _series(f"container_{name}", job="cadvisor", service="web", name=f"web.1.{number}", **labels)


def _node(name: str, **labels: str) -> str:
    return _series(f"node_{name}", job="node", instance="n1", **labels)


def _told(name: str, manager: str, **labels: str) -> str:
    return _series(f"llmdeploy_{name}", job="node", instance=manager, stack="llm", **labels)


# Half of the requests of a minute below 1 s, all of them below 2 s: p95 is 1.9 s, p99 1.98 s.
HALF = {"1.0": 30, "2.0": 60, "+Inf": 60}
SERVICES = Recorded(
    "requests of a service",
    ["services.yml", "slo.yml"],
    {
        _http("200"): "0+60x30",
        _http("200", instance="b"): "0+60x30",
        _http("503"): "0+12x30",
        _http("429"): "0+12x30",
        _http("200", route="/health"): "0+600x30",
        _grpc("OK"): "0+30x30",
        _grpc("UNAVAILABLE"): "0+3x30",
        _grpc("DeadlineExceeded"): "0+3x30",
        _grpc("RESOURCE_EXHAUSTED"): "0+12x30",
        _grpc("OK", service="grpc.health.v1.Health"): "0+600x30",
        **_buckets("http_request_duration_seconds", HALF, route="/v1", method="GET"),
        **_buckets("grpc_server_handling_seconds", {"2.0": 60, "+Inf": 60}, grpc_service="s", grpc_method="m"),
    },
    {
        # A minute: 144 of HTTP, 48 of gRPC; 12 and 6 failed.
        'service:requests:rate5m{service="web"}': 3.2,
        'service:errors:rate5m{service="web"}': 0.3,
        'service:error_ratio:rate5m{service="web"}': 0.0938,
        'service:requests_by_code:rate5m{service="web",protocol="http",code="429"}': 0.2,
        'service:requests_by_code:rate5m{service="web",protocol="grpc",code="OK"}': 0.5,
        'service:latency_seconds:p50_5m{service="web",protocol="http"}': 1,
        'service:latency_seconds:p95_5m{service="web",protocol="http"}': 1.9,
        'service:latency_seconds:p99_5m{service="web",protocol="http"}': 1.98,
        'service:latency_seconds:p50_5m{service="web",protocol="grpc"}': 1,
        # As a sum of the values of every minute; the first four, which see less than five minutes, make two.
        'service:requests:rate30m{service="web"}': 1.92,
        'service:errors:rate30m{service="web"}': 0.18,
        'service:slo_errors:ratio_rate5m{service="web"}': 0.0938,
        'service:slo_errors:ratio_rate30m{service="web"}': 0.0938,
        'service:requests:rate1h{service="web"}': 0.96,
        'service:errors:rate1h{service="web"}': 0.09,
        'service:slo_errors:ratio_rate1h{service="web"}': 0.0938,
        'service:requests:rate6h{service="web"}': 0.16,
        'service:errors:rate6h{service="web"}': 0.015,
        'service:slo_errors:ratio_rate6h{service="web"}': 0.0938,
        'service:requests:rate3d{service="web"}': 0.0133,
        'service:errors:rate3d{service="web"} * 1000': 1.25,
        'service:slo_errors:ratio_rate3d{service="web"}': 0.0938,
        'service:slo_budget_left:ratio30d{service="web"}': -8.375,  # 9.375 % failed of 1 %
    },
)
IDLE = Recorded(
    "a service without traffic",
    ["services.yml", "slo.yml"],
    {_http("200"): "7x30", _http("500"): "0x30", **_buckets("http_request_duration_seconds", {"1.0": 0, "+Inf": 0})},
    {
        "service:requests:rate5m": 0,
        "service:errors:rate5m": 0,
        "service:error_ratio:rate5m": None,
        "service:slo_errors:ratio_rate1h": None,
        "service:latency_seconds:p95_5m": None,
        "service:slo_budget_left:ratio30d": None,
    },
)
REPLICAS = Recorded(
    "replicas",
    ["replicas.yml", "releases.yml"],
    {
        _series("probe_success", job="replicas", service="web", instance="1"): "1x30",
        _series("probe_success", job="replicas", service="web", instance="2"): "0x30",
        _series("probe_duration_seconds", job="replicas", service="web", instance="1"): "0.25x30",
        _series("probe_duration_seconds", job="replicas", service="web", instance="2"): "2x30",
        _told("release_timestamp_seconds", "m1"): "100x30",
        _told("release_timestamp_seconds", "m2"): "200x30",
        _told("service_replicas_desired", "m1", service="web"): "9x30",
        _told("service_replicas_desired", "m2", service="web"): "3x30",
        _told("release_info", "m1", service="web", image="web:1", version="1", release="11"): "1x30",
        _told("release_info", "m2", service="web", image="web:2", version="2", release="12"): "1x30",
        _told("release_number", "m1", action="deploy", result="failed"): "11x30",
        _told("release_number", "m2", action="deploy", result="done"): "12x30",
        _told("release_duration_seconds", "m2", action="deploy", result="done"): "42x30",
        _told("releases_total", "m1", action="deploy", result="done"): "5x30",
        _told("releases_total", "m2", action="deploy", result="done"): "7x30",
    },
    {
        'service:replicas_running{service="web"}': 1,
        'service:replicas_probed{service="web"}': 2,
        'service:probe_seconds:max{service="web"}': 2,
        'service:replicas_configured{service="web"}': 2,
        'service:replicas_wanted{service="web"}': 3,
        'service:replicas_wanted{service="store"}': None,
        'llmdeploy:release_info{service="web"}': 1,
        'llmdeploy:release_info{service="web",version="2",release="12",image="web:2"}': 1,
        "llmdeploy:release_timestamp_seconds": 200,
        "llmdeploy:release_number": 12,
        'llmdeploy:release_duration_seconds{result="done"}': 42,
        "llmdeploy:releases_total": 7,
    },
)
UNRELEASED = Recorded(
    "before the first release",
    ["replicas.yml"],
    {},
    {'service:replicas_wanted{service="web"}': 2, 'service:replicas_wanted{service="job"}': 1},
)
EDGE = Recorded(
    "the edge",
    ["edge.yml"],
    {
        _haproxy("frontend_http_requests_total"): "0+60x30",
        _haproxy("frontend_http_requests_total", "e2"): "0+60x30",
        _haproxy("frontend_http_requests_total", proxy="status"): "0+600x30",
        _haproxy("frontend_http_responses_total", code="2xx"): "0+54x30",
        _haproxy("frontend_http_responses_total", code="5xx"): "0+6x30",
        _haproxy("frontend_http_responses_total", "e2", code="2xx"): "0+60x30",
        _haproxy("frontend_connections_total"): "0+6x30",
        _haproxy("frontend_bytes_in_total"): "0+600x30",
        _haproxy("frontend_bytes_out_total"): "0+6000x30",
        _haproxy("frontend_current_sessions"): "4x30",
        _haproxy("frontend_current_sessions", "e2"): "3x30",
        _haproxy("backend_active_servers"): "2x30",
        _haproxy("backend_active_servers", "e2"): "1x30",
        _haproxy("backend_total_time_average_seconds"): "0.5x30",
        _series("probe_success", job="edge-probe", service="my-web", port="8000", instance="e1"): "1x30",
        _series("probe_success", job="edge-probe", service="my-web", port="8000", instance="e2"): "0x30",
    },
    {
        'edge:requests:rate5m{service="my-web",port="8000"}': 2,
        "edge:requests:rate5m": 2,  # HAProxy's own page is no service
        'edge:responses:rate5m{service="my-web",code="5xx"}': 0.1,
        'edge:errors:rate5m{service="my-web"}': 0.1,
        'edge:error_ratio:rate5m{service="my-web",port="8000"}': 0.05,
        'edge:connections:rate5m{service="my-web"}': 0.1,
        'edge:bytes:rate5m{service="my-web",direction="in"}': 10,
        'edge:bytes:rate5m{service="my-web",direction="out"}': 100,
        'edge:sessions{service="my-web"}': 7,
        'edge:servers_up{service="my-web"}': 1,
        'edge:latency_seconds:mean{service="my-web"}': 0.5,
        'edge:probe_success{service="my-web",port="8000"}': 1,
    },
)
CONTAINERS = Recorded(
    "containers",
    ["containers.yml"],
    {
        _container("start_time_seconds"): "1x30",  # twenty minutes ago
        _container("start_time_seconds", 2): "_x9 540x4 stale",
        _container("start_time_seconds", 3): "_x14 840x30",
        _container("cpu_usage_seconds_total"): "0+30x30",
        _container("cpu_usage_seconds_total", 2): "0+6x30",
        _container("memory_working_set_bytes"): "600x30",
        _container("memory_working_set_bytes", 2): "300x30",
        _container("spec_memory_limit_bytes"): "1000x30",
        _container("spec_memory_limit_bytes", 2): "1000x30",
        _container("cpu_cfs_throttled_periods_total"): "0+150x30",
        _container("cpu_cfs_periods_total"): "0+600x30",
        _container("network_receive_bytes_total", interface="eth0"): "0+60x30",
        _container("network_transmit_bytes_total", interface="eth0"): "0+120x30",
    },
    {
        'service:container_starts:15m{service="web"}': 2,
        'service:cpu_cores:rate5m{service="web"}': 0.6,
        'service:memory_bytes{service="web"}': 900,
        'service:memory_ratio:max{service="web"}': 0.6,
        'service:cpu_throttled:ratio_rate5m{service="web"}': 0.25,
        'service:network_bytes:rate5m{service="web",direction="receive"}': 1,
        'service:network_bytes:rate5m{service="web",direction="transmit"}': 2,
    },
)
NODES = Recorded(
    "hosts",
    ["nodes.yml"],
    {
        _node("uname_info", nodename="host1"): "1x30",
        _node("cpu_seconds_total", cpu="0", mode="idle"): "0+15x30",
        _node("cpu_seconds_total", cpu="1", mode="idle"): "0+45x30",
        _node("memory_MemAvailable_bytes"): "25x30",
        _node("memory_MemTotal_bytes"): "100x30",
        _node("filesystem_avail_bytes", device="/dev/vda1", fstype="ext4", mountpoint="/"): "40x30",
        _node("filesystem_size_bytes", device="/dev/vda1", fstype="ext4", mountpoint="/"): "100x30",
        _node("load1"): "3x30",
        _node("network_receive_bytes_total", device="eth0"): "0+60x30",
        _node("network_receive_bytes_total", device="veth12"): "0+60x30",
        _node("network_transmit_bytes_total", device="eth0"): "0+120x30",
        _node("disk_read_bytes_total", device="vda"): "0+180x30",
        _node("disk_written_bytes_total", device="vda"): "0+240x30",
    },
    {
        'node:cpu_busy:ratio_rate5m{nodename="host1"}': 0.5,
        'node:memory_used:ratio{nodename="host1"}': 0.75,
        'node:disk_used:ratio{nodename="host1",device="/dev/vda1"}': 0.6,
        'node:load1_per_core{nodename="host1"}': 1.5,
        'node:network_bytes:rate5m{nodename="host1",direction="receive"}': 1,
        'node:network_bytes:rate5m{nodename="host1",direction="transmit"}': 2,
        'node:disk_bytes:rate5m{nodename="host1",direction="read"}': 3,
        'node:disk_bytes:rate5m{nodename="host1",direction="write"}': 4,
    },
)
LLM = Recorded(
    "models by the contract",
    ["llm.yml"],
    {
        _services("llm_requests_total", model="m", outcome="ok"): "0+54x30",
        _services("llm_requests_total", model="m", outcome="error"): "0+6x30",
        _services("llm_tokens_total", model="m", direction="output"): "0+600x30",
        **_buckets("llm_time_to_first_token_seconds", HALF, model="m"),
        **_buckets("llm_time_per_output_token_seconds", HALF, model="m"),
        **_buckets("llm_request_duration_seconds", HALF, model="m"),
        _services("llm_queue_depth", model="m", instance="a"): "4x30",
        _services("llm_queue_depth", model="m", instance="b"): "5x30",
        _services("llm_inflight_requests", model="m"): "6x30",
        _services("llm_cost_usd_total", model="m"): "0+0.6x30",
        _services("llm_fallbacks_total", model="m"): "0+6x30",
        _services("ratelimit_rejections_total", reason="over_limit"): "0+6x30",
        _services("auth_failures_total", reason="unknown_key"): "0+12x30",
        _services("billing_events_total", result="recorded"): "0+18x30",
    },
    {
        'llm:requests:rate5m{service="web",model="m",outcome="ok",source="llmdeploy"}': 0.9,
        'llm:error_ratio:rate5m{service="web",model="m"}': 0.1,
        'llm:tokens:rate5m{service="web",model="m",direction="output"}': 10,
        'llm:ttft_seconds_bucket:rate5m{service="web",model="m",le="1.0"}': 0.5,
        'llm:ttft_seconds:p95_5m{service="web",model="m"}': 1.9,
        'llm:tpot_seconds_bucket:rate5m{model="m",le="2.0"}': 1,
        'llm:tpot_seconds:p95_5m{model="m"}': 1.9,
        'llm:request_duration_seconds_bucket:rate5m{model="m",le="+Inf"}': 1,
        'llm:request_duration_seconds:p95_5m{model="m"}': 1.9,
        'llm:queue_depth{model="m"}': 9,
        'llm:inflight{model="m"}': 6,
        'llm:cost_usd:rate1h{model="m"} * 3600': 12,
        'llm:cost_usd:increase1d{model="m"}': 12,
        'llm:fallbacks:rate5m{model="m"}': 0.1,
        'llm:ratelimit_rejections:rate5m{reason="over_limit"}': 0.1,
        'llm:auth_failures:rate5m{reason="unknown_key"}': 0.2,
        'llm:billing_events:rate5m{result="recorded"}': 0.3,
    },
)
VLLM = Recorded(
    "models by vLLM",
    ["llm.yml"],
    {
        _services("vllm:request_success_total", model_name="m", finished_reason="stop"): "0+54x30",
        _services("vllm:request_success_total", model_name="m", finished_reason="length"): "0+6x30",
        _services("vllm:request_success_total", model_name="m", finished_reason="abort"): "0+12x30",
        _services("vllm:prompt_tokens_total", model_name="m"): "0+600x30",
        _services("vllm:generation_tokens_total", model_name="m"): "0+60x30",
        **_buckets("vllm:time_to_first_token_seconds", HALF, model_name="m"),
        _services("vllm:num_requests_waiting", model_name="m"): "3x30",
        _services("vllm:num_requests_running", model_name="m"): "7x30",
    },
    {
        'llm:requests:rate5m{model="m",outcome="ok",source="vllm"}': 1,
        'llm:requests:rate5m{model="m",outcome="cancelled"}': 0.2,
        'llm:tokens:rate5m{model="m",direction="input"}': 10,
        'llm:tokens:rate5m{model="m",direction="output"}': 1,
        'llm:ttft_seconds:p95_5m{model="m",source="vllm"}': 1.9,
        'llm:queue_depth{model="m",source="vllm"}': 3,
        'llm:inflight{model="m"}': 7,
    },
)
LITELLM = Recorded(
    "models by LiteLLM",
    ["llm.yml"],
    {
        _services("litellm_proxy_total_requests_metric_total", requested_model="m", team="x"): "0+60x30",
        _services("litellm_proxy_total_requests_metric_total", requested_model="m", team="y"): "0+60x30",
        _services("litellm_proxy_total_requests_metric_total", requested_model="n"): "0+60x30",
        _services("litellm_proxy_failed_requests_metric_total", requested_model="m", exception_status="503"): "0+6x30",
        _services("litellm_proxy_failed_requests_metric_total", requested_model="m", exception_status="429"): "0+12x30",
        _services("litellm_input_tokens_metric_total", requested_model="m"): "0+60x30",
        _services("litellm_output_tokens_metric_total", requested_model="m"): "0+120x30",
        _services("litellm_spend_metric_total", model="m"): "0+0.6x30",
        **_buckets("litellm_request_total_latency_metric", HALF, requested_model="m"),
        _services("litellm_deployment_successful_fallbacks_total", requested_model="m"): "0+6x30",
        _services("litellm_in_flight_requests"): "2x30",
    },
    {
        'llm:requests:rate5m{model="m",outcome="ok",source="litellm"}': 1.7,
        'llm:requests:rate5m{model="n",outcome="ok"}': 1,  # one that never failed
        'llm:requests:rate5m{model="m",outcome="error"}': 0.1,
        'llm:requests:rate5m{model="m",outcome="refused"}': 0.2,
        'llm:tokens:rate5m{model="m",direction="output"}': 2,
        'llm:cost_usd:increase1d{model="m"}': 12,
        'llm:request_duration_seconds:p95_5m{model="m",source="litellm"}': 1.9,
        'llm:fallbacks:rate5m{model="m"}': 0.1,
        'llm:inflight{source="litellm"}': 2,
    },
)
OTEL = Recorded(
    "models by OpenTelemetry",
    ["llm.yml"],
    {
        _services("gen_ai_server_request_duration_seconds_count", gen_ai_request_model="m"): "0+54x30",
        _services(
            "gen_ai_server_request_duration_seconds_count", gen_ai_request_model="m", error_type="timeout"
        ): "0+6x30",
        _services("gen_ai_client_operation_duration_seconds_count", gen_ai_request_model="m"): "0+60x30",
        _services("gen_ai_client_token_usage_sum", gen_ai_request_model="m", gen_ai_token_type="output"): "0+600x30",
        **_buckets("gen_ai_server_time_to_first_token_seconds", HALF, gen_ai_request_model="m"),
        **_buckets("gen_ai_client_operation_duration_seconds", HALF, gen_ai_request_model="m"),
    },
    {
        'llm:requests:rate5m{model="m",outcome="ok",source="otel"}': 0.9,
        'llm:requests:rate5m{model="m",outcome="error",source="otel"}': 0.1,
        'llm:requests:rate5m{model="m",outcome="ok",source="otel-client"}': 1,
        'llm:tokens:rate5m{model="m",direction="output"}': 10,
        'llm:ttft_seconds:p95_5m{model="m",source="otel"}': 1.9,
        'llm:request_duration_seconds:p95_5m{model="m",source="otel-client"}': 1.9,
    },
)
RECORDS = [SERVICES, IDLE, REPLICAS, UNRELEASED, EDGE, CONTAINERS, NODES, LLM, VLLM, LITELLM, OTEL]
