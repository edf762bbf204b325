"""Alloy's configuration: the logs of this stack's containers on one host, to Loki.

Components and their arguments: Alloy, reference. Containers that have ended are not left out: one that leaves the list
loses its position, and would be sent again from its beginning when it comes back (alloy#7036). What an idle container's
last lines are sent again for (alloy#6954) is dropped before Loki has to refuse it.
"""

from __future__ import annotations

from llmdeploy.monitoring.scope import Scope

CONFIG_FILE = "/etc/alloy/config.alloy"
_OLDEST = "160h"  # Loki refuses what is older than a week
_TEMPLATE = """\
// Written by llmdeploy. The labels of the index: service, node, environment, level. A task's name changes with each
// release: it is beside each line (structured metadata), where it makes no new stream.

discovery.docker "node" {
  host             = "unix:///var/run/docker.sock"
  refresh_interval = "5s"
  filter {
    name   = "label"
    values = ["com.docker.swarm.service.name"]
  }
}

discovery.relabel "swarm" {
  targets = []
  rule {
    source_labels = ["__meta_docker_container_label_com_docker_swarm_service_name"]
    target_label  = "service"
  }
  rule {
    source_labels = ["__meta_docker_container_label_com_docker_swarm_task_name"]
    target_label  = "task"
  }
}

loki.source.docker "node" {
  host          = "unix:///var/run/docker.sock"
  targets       = discovery.docker.node.targets
  relabel_rules = discovery.relabel.swarm.rules
  forward_to    = [loki.process.lines.receiver]
}

loki.process "lines" {
  stage.drop {
    older_than          = "$OLDEST"
    drop_counter_reason = "stale_replay"
  }

  // What is JSON says its level itself; in other lines a word does.
  stage.json {
    expressions = {level = "level", severity = "severity"}
  }
  stage.regex {
    expression = "(?i)\\\\b(?P<word>trace|debug|info|notice|warn|warning|error|err|fatal|panic|critical)\\\\b"
  }
  stage.template {
    source   = "level"
    template = "$LEVEL"
  }
  stage.labels {
    values = {level = ""}
  }

  stage.structured_metadata {
    values = {task = ""}
  }
  stage.label_drop {
    values = ["task"]
  }

  forward_to = [loki.write.loki.receiver]
}

loki.write "loki" {
  endpoint {
    url = "http://loki:3100/loki/api/v1/push"
  }
  external_labels = {
    environment = "$ENVIRONMENT",
    stack       = "$STACK",
    node        = sys.env("NODE_NAME"),
  }
}
"""
# Go's template: the first of what was found, in one spelling; `unknown` for none.
_LEVEL = (
    "{{ $found := ToLower (or .level .severity .word `unknown`) }}"
    "{{ if eq $found `warn` }}warning{{ else if eq $found `err` }}error{{ else }}{{ $found }}{{ end }}"
)


def alloy_files(scope: Scope) -> dict[str, str]:
    """Target → text of what Alloy reads on every host."""
    text = _TEMPLATE.replace("$OLDEST", _OLDEST).replace("$LEVEL", _LEVEL)
    text = text.replace("$ENVIRONMENT", scope.environment).replace("$STACK", scope.settings.stack)
    return {CONFIG_FILE: text}
