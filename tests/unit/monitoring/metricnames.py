"""Metrics of exporters that dashboards may read, by the programs' own documentation or source.

What the project records or asks of services is in docs/metrics.md; here is what others tell.
"""

from __future__ import annotations

_NAMES = {
    # Prometheus itself: made for each target and alert.
    "made by Prometheus": "up scrape_duration_seconds scrape_samples_scraped ALERTS ALERTS_FOR_STATE",
    "prometheus": """
        prometheus_config_last_reload_successful prometheus_engine_query_duration_seconds
        prometheus_notifications_dropped_total prometheus_rule_evaluation_failures_total
        prometheus_rule_group_last_duration_seconds prometheus_tsdb_head_samples_appended_total
        prometheus_tsdb_head_series prometheus_tsdb_storage_blocks_bytes prometheus_tsdb_wal_storage_size_bytes
        process_resident_memory_bytes""",
    "alertmanager": "alertmanager_alerts alertmanager_notifications_total alertmanager_notifications_failed_total",
    "blackbox exporter": "probe_success probe_duration_seconds",
    "node exporter": """
        node_boot_time_seconds node_disk_io_time_seconds_total node_filesystem_avail_bytes
        node_network_receive_errs_total node_network_transmit_errs_total node_nf_conntrack_entries
        node_nf_conntrack_entries_limit node_pressure_cpu_waiting_seconds_total
        node_pressure_memory_waiting_seconds_total node_timex_offset_seconds node_uname_info node_vmstat_oom_kill""",
    "cadvisor": """
        container_cpu_usage_seconds_total container_memory_working_set_bytes container_oom_events_total
        container_spec_memory_limit_bytes container_start_time_seconds""",
    "haproxy": """
        haproxy_backend_connection_errors_total haproxy_backend_current_queue haproxy_process_current_connections
        haproxy_process_idle_time_percent haproxy_process_max_connections""",
    # docs/metrics.md of moby's metrics package, and swarmkit's manager/metrics/collector.go
    "docker": """
        engine_daemon_container_states_containers engine_daemon_health_checks_failed_total swarm_manager_leader
        swarm_manager_nodes swarm_manager_tasks_total swarm_node_manager""",
    "loki": """
        loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds
        loki_compactor_apply_retention_last_successful_run_timestamp_seconds loki_discarded_samples_total
        loki_distributor_bytes_received_total loki_distributor_lines_received_total loki_ingester_memory_streams
        loki_request_duration_seconds_bucket loki_request_duration_seconds_count""",
    "alloy": """
        alloy_component_controller_running_components alloy_resources_process_resident_memory_bytes
        loki_process_dropped_lines_total loki_source_docker_target_entries_total loki_write_dropped_entries_total
        loki_write_sent_entries_total""",
}
EXPORTERS = {name for names in _NAMES.values() for name in names.split()}
