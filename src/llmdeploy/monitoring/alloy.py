"""Alloy's configuration: the logs of all services' containers on one host, to Loki.

Components, stages and their arguments: Alloy 1.18, reference. Only Swarm's tasks are read: they are what has a service,
by the label that Swarm gives to their containers; whatever else runs on a host is none of the stack's business. There
is no filter by state: a container that leaves the list loses its position, and would be sent again from its beginning
if it came back (alloy#7036). Swarm never starts one twice. What an idle container's last lines are sent again for
(alloy#6954) is dropped before Loki has to refuse it.
"""

from __future__ import annotations

import json

from llmdeploy.monitoring.scope import Scope

CONFIG_FILE = "/etc/alloy/config.alloy"
LEVELS = {  # label `level` → what programs call it; numbers are those of bunyan and pino
    "trace": ("trace", "verbose", "10"),
    "debug": ("debug", "dbg", "20"),
    "info": ("info", "information", "notice", "log", "30"),
    "warning": ("warning", "warn", "40"),
    "error": ("error", "err", "50"),
    "critical": ("critical", "crit", "fatal", "panic", "alert", "emerg", "emergency", "60"),
}
NO_LEVEL = "unknown"
_OLDEST = "160h"  # Loki refuses what is older than a week
_WORDS = "|".join(
    sorted((word for words in LEVELS.values() for word in words if word.isalpha()), key=len, reverse=True)
)
# Where plain lines say their level: level=warn, [error], a word in capitals, or error: at the beginning.
PLAIN = "|".join(
    [
        r"""(?i:\b(?:level|lvl|severity)["']?\s*[=:]\s*["']?(?P<named>[a-z]+))""",
        rf"(?i:[\[(<](?P<bracketed>{_WORDS})[\])>])",
        rf"(?:^|[\s|])(?P<capitals>{_WORDS.upper()})(?:[\s|:]|$)",
        rf"(?i:^(?P<first>{_WORDS}):)",
    ]
)
_TEMPLATE = """\
// Written by llmdeploy. The labels of Loki's index: service, node, level, environment, stack. The name of a task
// changes with each release: it stands beside each line (structured metadata), where it makes no new stream.

logging {
  level  = "warn"
  format = "json"
}

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
    older_than          = $OLDEST
    drop_counter_reason = "stale_replay"
  }

  // What is JSON says its level itself.
  stage.json {
    expressions = {
      level     = "level",
      severity  = "severity",
      levelname = "levelname",
      ecs       = "\\"log.level\\"",
    }
  }

  stage.regex {
    expression = $PLAIN
  }

  stage.template {
    source   = "level"
    template = $LEVEL
  }

  stage.labels {
    values = {
      level = "level",
    }
  }

  // Takes the label away, too.
  stage.structured_metadata {
    values = {
      task = "task",
    }
  }

  // How many of which level each service writes, for alerts.
  stage.metrics {
    metric.counter {
      name              = "log_lines_total"
      description       = "Lines of logs by service and level."
      match_all         = true
      action            = "inc"
      max_idle_duration = "24h"
    }
  }

  forward_to = [loki.write.loki.receiver]
}

loki.write "loki" {
  endpoint {
    url = "http://loki:3100/loki/api/v1/push"

    // For two hours, while Docker keeps what is written: Loki may be moved, or its host may start again.
    max_backoff_period  = "30s"
    max_backoff_retries = 240
  }

  external_labels = {
    environment = $ENVIRONMENT,
    stack       = $STACK,
    node        = sys.env("NODE_NAME"),
  }
}
"""


def alloy_files(scope: Scope) -> dict[str, str]:
    """Target → text of what Alloy reads on every host."""
    values = {
        "OLDEST": _OLDEST,
        "PLAIN": PLAIN,
        "LEVEL": level_template(),
        "ENVIRONMENT": scope.environment,
        "STACK": scope.settings.stack,
    }
    text = _TEMPLATE
    for name, value in values.items():
        text = text.replace(f"${name}", json.dumps(value, ensure_ascii=False))  # escapes as Alloy's strings have them
    return {CONFIG_FILE: text}


def level_template() -> str:
    """Go's template for the label `level`: the first of what was found, by one name.

    Nothing but these names may become a label's value: what a program writes there could be anything.
    """
    found = "ToLower (or .level .severity .levelname .ecs .named .bracketed .capitals .first ``)"
    cases = [(level, " ".join(f"`{word}`" for word in words)) for level, words in LEVELS.items()]
    chain = "{{ else }}".join(f"{{{{ if eq $found {words} }}}}{level}" for level, words in cases)
    return f"{{{{ $found := {found} }}}}{chain}{{{{ else }}}}{NO_LEVEL}{'{{ end }}' * len(cases)}"
