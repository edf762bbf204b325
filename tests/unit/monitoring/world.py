"""A world in which everything tells its metrics, and what a real Prometheus answers in it, by promtool."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from llmdeploy.monitoring.rules import rule_files
from llmdeploy.monitoring.scope import Scope
from tests.programs import program

NOW = "12m"
ONE = "one"  # what each variable of a dashboard is set to
_GROWS, _IS_ONE, _SINKS = "10+7x15", "1x15", "900000000-7000x15"
_IN: Mapping[str, Sequence[str]] = {"instance": ("10.0.0.1:1", "10.0.0.2:1")}
_CODES = ("200", "429", "500")
Labels = Mapping[str, str | Sequence[str]]


def _series(names: str, labels: Labels, values: str = _GROWS) -> dict[str, str]:
    lists = [[value] if isinstance(value, str) else list(value) for value in labels.values()]
    sets = [",".join(f'{key}="{value}"' for key, value in zip(labels, one, strict=True)) for one in product(*lists)]
    return {f"{name}{{{one}}}": values for name in names.split() for one in sets}


def world(scope: Scope) -> dict[str, str]:
    """Series → values: two replicas of each service, two hosts, every exporter."""
    services = (*scope.services, ONE)
    made = [
        _of_services({"job": "services", "service": services, **_IN}),
        _of_probes(scope, services),
        _of_hosts(scope.settings.stack, services),
        _of_parts(),
        _series("ALERTS", {"alertname": "A", "alertstate": "firing", "severity": ("page", "ticket"), "service": ONE}),
        _series("ALERTS_FOR_STATE", {"alertname": "A", "severity": ("page", "ticket"), "service": ONE}),
    ]
    return {name: values for one in made for name, values in one.items()}


def _of_services(own: Labels) -> dict[str, str]:
    model = {**own, "model": ("m", ONE)}
    http, grpc = {**own, "method": "GET", "route": "/a"}, {**own, "grpc_service": "a", "grpc_method": "b"}
    buckets = {"le": ("0.1", "1", "+Inf")}
    durations = "llm_time_to_first_token_seconds llm_time_per_output_token_seconds llm_request_duration_seconds"
    return {
        **_series("up scrape_duration_seconds scrape_samples_scraped", own, _IS_ONE),
        **_series("http_requests_total", {**http, "code": _CODES}),
        **_series("http_request_duration_seconds_bucket", {**http, **buckets}),
        **_series("grpc_server_handled_total", {**grpc, "grpc_code": ("OK", "Internal")}),
        **_series("grpc_server_handling_seconds_bucket", {**grpc, **buckets}),
        **_series("llm_requests_total", {**model, "outcome": ("ok", "error")}),
        **_series(re.sub(r"(\w+)", r"\1_bucket", durations), {**model, **buckets}),
        **_series("llm_tokens_total", {**model, "direction": ("input", "output")}),
        **_series("llm_cost_usd_total llm_fallbacks_total llm_queue_depth llm_inflight_requests", model),
        **_series("ratelimit_rejections_total auth_failures_total", {**own, "reason": ("a", "b")}),
        **_series("billing_events_total", {**own, "result": "recorded"}),
        **_series("billing_event_lag_seconds", own),
    }


def _of_probes(scope: Scope, services: Sequence[str]) -> dict[str, str]:
    edge: Labels = {"job": "edge", "service": "edge", **_IN}
    proxies = {**edge, "proxy": [f"{name}-80" for name in services]}
    probe = "probe_success probe_duration_seconds"
    # Of the first one only one replica answers.
    replicas = {"job": "replicas", "service": services[1:], **_IN}
    lame = {**replicas, "service": services[0], "instance": "10.0.0.1:1"}
    frontend = "http_requests_total connections_total bytes_in_total bytes_out_total current_sessions"
    backend = "active_servers total_time_average_seconds current_queue connection_errors_total"
    names = [*(f"haproxy_frontend_{name}" for name in frontend.split())]
    names += [f"haproxy_backend_{name}" for name in backend.split()]
    certificate = "llmdeploy_edge_certificate_expiry_timestamp_seconds"
    return {
        **_series(probe, replicas, _IS_ONE),
        **_series(probe, lame, _IS_ONE),
        **_series(probe, {"job": "edge-probe", "service": services, "port": "80", **_IN}, _IS_ONE),
        **_series(" ".join(names), proxies),
        **_series("haproxy_frontend_http_responses_total", {**proxies, "code": ("2xx", "5xx")}),
        **_series("haproxy_process_current_connections haproxy_process_max_connections", edge),
        **_series("haproxy_process_idle_time_percent up", edge, _IS_ONE),
        **_series(certificate, {**edge, "job": "edge-certificate"}, "9999999x15"),
    }


def _of_hosts(stack: str, services: Sequence[str]) -> dict[str, str]:
    node: Labels = {"job": "node", **_IN}
    first = {"job": "node", "instance": _IN["instance"][0], "stack": stack}
    ended = {**first, "action": "deploy", "result": "done"}
    disk = {**node, "device": ("/dev/sda1", "/dev/sdb1"), "fstype": "ext4", "mountpoint": ("/", "/var")}
    memory = "node_memory_MemAvailable_bytes node_memory_MemTotal_bytes node_load1 node_boot_time_seconds"
    rest = """node_nf_conntrack_entries node_nf_conntrack_entries_limit node_pressure_cpu_waiting_seconds_total
        node_pressure_memory_waiting_seconds_total node_timex_offset_seconds node_vmstat_oom_kill"""
    container = {"job": "cadvisor", **_IN, "service": services, "name": "task", "image": "i"}
    used = """cpu_usage_seconds_total memory_working_set_bytes oom_events_total spec_memory_limit_bytes
        start_time_seconds cpu_cfs_throttled_periods_total cpu_cfs_periods_total"""
    network = "container_network_receive_bytes_total container_network_transmit_bytes_total"
    docker: Labels = {"job": "docker", **_IN, "node": "a"}
    wanted = {**first, "service": services}
    return {
        **_series("node_uname_info", {"job": "node", "instance": "10.0.0.1:1", "nodename": ONE}, _IS_ONE),
        **_series("node_uname_info", {"job": "node", "instance": "10.0.0.2:1", "nodename": "b"}, _IS_ONE),
        **_series("node_cpu_seconds_total", {**node, "cpu": ("0", "1"), "mode": ("idle", "user")}),
        **_series(f"{memory} {rest}", node),
        **_series("node_filesystem_avail_bytes node_filesystem_size_bytes", disk, _SINKS),
        **_series(
            "node_disk_read_bytes_total node_disk_written_bytes_total node_disk_io_time_seconds_total",
            {**node, "device": ("sda", "sdb")},
        ),
        **_series(
            " ".join(
                f"node_network_{way}_{what}_total" for way in ("receive", "transmit") for what in ("bytes", "errs")
            ),
            {**node, "device": ("eth0", "eth1")},
        ),
        **_series("llmdeploy_release_timestamp_seconds", first, _IS_ONE),
        **_series(
            "llmdeploy_release_number llmdeploy_release_duration_seconds llmdeploy_releases_total", ended, _IS_ONE
        ),
        **_series("llmdeploy_release_info", {**wanted, "image": "i:1", "version": "1", "release": "7"}, _IS_ONE),
        **_series("llmdeploy_service_replicas_desired", wanted, "2x15"),
        **_series(" ".join(f"container_{name}" for name in used.split()), container),
        **_series(network, {**container, "interface": ("eth0", "eth1")}),
        **_series("swarm_manager_leader swarm_node_manager engine_daemon_health_checks_failed_total", docker),
        **_series(
            "swarm_manager_nodes swarm_manager_tasks_total engine_daemon_container_states_containers",
            {**docker, "state": ("running", "down")},
        ),
    }


def _of_parts() -> dict[str, str]:
    own = {name: {"job": name, "service": name, **_IN} for name in ("prometheus", "alertmanager", "loki", "alloy")}
    prometheus, loki, alloy = own["prometheus"], own["loki"], own["alloy"]
    integration, route = {"integration": ("mail", "webhook")}, {"route": ("a", "b"), "status_code": ("200", "500")}
    tsdb = "head_samples_appended_total head_series storage_blocks_bytes wal_storage_size_bytes"
    compactor = """loki_compactor_apply_retention_last_successful_run_timestamp_seconds
        loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds"""
    return {
        **_series("up", {"job": "alertmanager", "service": "alertmanager", **_IN}, "0x15"),
        **_series("process_resident_memory_bytes", {**_IN, "job": ("prometheus", "loki")}),
        **_series(" ".join(f"prometheus_tsdb_{name}" for name in tsdb.split()), prometheus),
        **_series("prometheus_config_last_reload_successful prometheus_notifications_dropped_total", prometheus),
        **_series(
            "prometheus_rule_evaluation_failures_total prometheus_rule_group_last_duration_seconds",
            {**prometheus, "rule_group": ("a", "b")},
        ),
        **_series(
            "prometheus_engine_query_duration_seconds",
            {**prometheus, "slice": "inner_eval", "quantile": ("0.5", "0.99")},
        ),
        **_series("alertmanager_alerts", {**own["alertmanager"], "state": ("active", "suppressed")}),
        **_series(
            "alertmanager_notifications_total alertmanager_notifications_failed_total",
            {**own["alertmanager"], **integration},
        ),
        **_series(compactor, loki),
        **_series(
            "loki_distributor_bytes_received_total loki_distributor_lines_received_total loki_ingester_memory_streams",
            {**loki, "tenant": "fake"},
        ),
        **_series("loki_discarded_samples_total", {**loki, "reason": ("a", "b")}),
        **_series("loki_request_duration_seconds_count", {**loki, **route}),
        **_series("loki_request_duration_seconds_bucket", {**loki, **route, "le": ("1", "+Inf")}),
        **_series("alloy_component_controller_running_components", {**alloy, "health_type": ("healthy", "unknown")}),
        **_series("alloy_resources_process_resident_memory_bytes", alloy),
        **_series("loki_source_docker_target_entries_total loki_write_sent_entries_total", alloy),
        **_series("loki_process_dropped_lines_total loki_write_dropped_entries_total", {**alloy, "reason": "a"}),
    }


def answers(scope: Scope, queries: Iterable[str], folder: Path) -> dict[str, list[dict[str, str]]]:
    """Query → the labels of every series that it gives in the world of `scope`, whose rules are evaluated there.

    promtool says what it got for each expectation that is wrong, and each one is. `folder`: where its files are put.
    """
    rules = rule_files(scope)
    for name, text in rules.items():
        (folder / name).write_text(text)
    never = [{"labels": '{never="so"}', "value": 1}]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in world(scope).items()],
        "promql_expr_test": [{"expr": expr, "eval_time": NOW, "exp_samples": never} for expr in queries],
    }
    content = {"rule_files": list(rules), "evaluation_interval": "1m", "tests": [test]}
    file = folder / "world.yml"
    file.write_text(json.dumps(content))
    said = subprocess.run([program("promtool"), "test", "rules", file], capture_output=True, text=True, timeout=60)
    found = re.findall(r'expr: ("(?:\\.|[^"\\])*"), time: .*?\n\s+exp: .*\n\s+got: *(.*)', said.stdout + said.stderr)
    assert found, said.stdout + said.stderr
    return {json.loads(expr): _labels(got) for expr, got in found}


def _labels(got: str) -> list[dict[str, str]]:
    sets = re.findall(r"\{((?:[^}\"]|\"(?:\\.|[^\"\\])*\")*)\} [-+\w.]+", got)
    return [dict(re.findall(r'(\w+)="((?:\\.|[^"\\])*)"', one)) for one in sets]
