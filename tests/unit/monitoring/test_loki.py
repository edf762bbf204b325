"""Loki's configuration: one process that forgets what is old."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from llmdeploy.monitoring.loki import CONFIG_FILE, loki_files
from tests.unit.monitoring.conftest import small

# Every key that is set, as Loki's reference has it (3.7).
KNOWN = {
    "auth_enabled",
    "server.http_listen_port",
    "server.log_level",
    "common.instance_addr",
    "common.path_prefix",
    "common.replication_factor",
    "common.ring.kvstore.store",
    "common.storage.filesystem.chunks_directory",
    "common.storage.filesystem.rules_directory",
    "schema_config.configs",
    "compactor.working_directory",
    "compactor.retention_enabled",
    "compactor.delete_request_store",
    "compactor.compaction_interval",
    "compactor.retention_delete_delay",
    "limits_config.retention_period",
    "limits_config.reject_old_samples",
    "limits_config.ingestion_rate_mb",
    "limits_config.ingestion_burst_size_mb",
    "limits_config.max_query_parallelism",
    "query_range.results_cache.cache.embedded_cache.enabled",
    "query_range.results_cache.cache.embedded_cache.max_size_mb",
    "analytics.reporting_enabled",
}


def config(**monitoring: Any) -> dict[str, Any]:
    files = loki_files(small(**monitoring))
    assert list(files) == [CONFIG_FILE]
    found: dict[str, Any] = yaml.safe_load(files[CONFIG_FILE])
    return found


def flat(content: dict[str, Any], head: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= flat(value, f"{head}{key}.") if isinstance(value, dict) else {f"{head}{key}": value}
    return found


def test_its_keys_are_those_that_loki_knows() -> None:
    assert set(flat(config())) == KNOWN


@pytest.mark.parametrize(("given", "hours"), [("24h", 24), ("14d", 336), ("90d", 2160)])
def test_it_keeps_logs_as_long_as_the_settings_say(given: str, hours: int) -> None:
    found = flat(config(retention={"logs": given}))
    assert found["limits_config.retention_period"] == f"{hours * 3600}s"
    assert found["compactor.retention_enabled"] is True
    assert found["compactor.delete_request_store"] == "filesystem", "without it Loki does not start"
    (schema,) = found["schema_config.configs"]
    assert schema["index"]["period"] == "24h", "retention works on days"
    assert (schema["store"], schema["schema"], schema["object_store"]) == ("tsdb", "v13", "filesystem")


def test_all_it_writes_is_on_its_volume() -> None:
    found = flat(config())
    paths = [value for key, value in found.items() if key.endswith(("_directory", "path_prefix"))]
    assert len(paths) == 4
    assert all(path == "/loki" or path.startswith("/loki/") for path in paths)


def test_it_is_one_that_tells_nobody() -> None:
    found = flat(config())
    assert (found["common.replication_factor"], found["common.ring.kvstore.store"]) == (1, "inmemory")
    assert found["analytics.reporting_enabled"] is False
