"""Loki's configuration: one process, files on a volume, and an end to what it keeps.

Keys: Loki, configuration and retention. Without `delete_request_store` it refuses to start, without
`retention_enabled` it keeps everything for ever.
"""

from __future__ import annotations

import yaml

from llmdeploy.monitoring.rules.words import duration
from llmdeploy.monitoring.scope import Scope

CONFIG_FILE = "/etc/loki/loki.yml"
_DATA = "/loki"
_FROM = "2024-01-01"  # before the first log line of anybody


def loki_files(scope: Scope) -> dict[str, str]:
    """Target → text of what Loki reads."""
    config = {
        "auth_enabled": False,
        "server": {"http_listen_port": 3100, "log_level": "warn"},
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": _DATA,
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {"filesystem": {"chunks_directory": f"{_DATA}/chunks", "rules_directory": f"{_DATA}/rules"}},
        },
        "schema_config": {
            "configs": [
                {
                    "from": _FROM,
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},  # retention needs days
                }
            ]
        },
        "compactor": {
            "working_directory": f"{_DATA}/compactor",
            "retention_enabled": True,
            "delete_request_store": "filesystem",
            "compaction_interval": "10m",
            "retention_delete_delay": "2h",
        },
        "limits_config": {
            "retention_period": duration(scope.monitoring.retention.logs),
            "reject_old_samples": True,
            "ingestion_rate_mb": 8,
            "ingestion_burst_size_mb": 16,
            "max_query_parallelism": 16,
        },
        "query_range": {"results_cache": {"cache": {"embedded_cache": {"enabled": True, "max_size_mb": 64}}}},
        "analytics": {"reporting_enabled": False},
    }
    return {CONFIG_FILE: yaml.safe_dump(config, sort_keys=False)}
