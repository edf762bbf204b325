"""What llmdeploy tells of its releases, of all managers the one that has the newest, and the alerts about it."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group, Record, Rule
from llmdeploy.monitoring.rules.replicas import newest
from llmdeploy.monitoring.scope import Scope

_KEPT = {  # what is told → the labels that are kept
    "release_info": "stack, service, image, version, release",
    "release_timestamp_seconds": "stack",
    "release_number": "stack, action, result",
    "release_duration_seconds": "stack, action, result",
    "releases_total": "stack, action, result",
}
# Results of a release, as the engine writes them.
_GOOD, _BACK = "done|unchanged|good", "rolled.back|stopped|conflict"


def groups(scope: Scope) -> list[Group]:
    """What is recorded of releases, and the alerts about them."""
    if "node-exporter" not in scope.parts:
        return []
    stack = scope.settings.stack
    recorded: list[Rule] = [
        Record(f"llmdeploy:{name}", f'max by ({labels}) (llmdeploy_{name}{{stack="{stack}"}} {newest(stack)})')
        for name, labels in _KEPT.items()
    ]
    return [Group("releases", recorded), Group("release-alerts", _alerts())]


def _alerts() -> list[Rule]:
    return [
        Alert(
            "ReleaseFailed",
            f'llmdeploy:release_number{{result!~"{_GOOD}|{_BACK}"}}',
            "1m",
            "page",
            "Release {{ $value }} ({{ $labels.action }}) ended {{ $labels.result }} and was not taken back",
        ),
        Alert(
            "ReleaseRolledBack",
            f'llmdeploy:release_number{{result=~"{_BACK}"}}',
            "1m",
            "ticket",
            "Release {{ $value }} ({{ $labels.action }}) ended {{ $labels.result }}: what it had changed went back",
        ),
        Alert(
            "ReleaseMetricsUnreadable",
            "node_textfile_scrape_error == 1",
            "15m",
            "ticket",
            "{{ $labels.instance }} cannot read what llmdeploy tells of its releases",
        ),
    ]
