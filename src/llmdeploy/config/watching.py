"""The section `monitoring`: what watches the stack, and whom it tells."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from llmdeploy.config.fields import (
    Bytes,
    Cidr,
    Cores,
    Count,
    GroupName,
    Model,
    Name,
    Period,
    PortNumber,
    Reservation,
    Scalar,
    Seconds,
    SecretName,
)

PartName = Literal[
    "prometheus", "alertmanager", "grafana", "loki", "alloy", "node-exporter", "cadvisor", "blackbox-exporter"
]
PARTS: tuple[PartName, ...] = get_args(PartName)
EDGE_PORTS: dict[PartName, int] = {"prometheus": 9090, "alertmanager": 9093, "grafana": 3002, "loki": 3100}
IMAGES: dict[PartName, str] = {
    "prometheus": "prom/prometheus:v3.13.3",
    "alertmanager": "prom/alertmanager:v0.34.0",
    "grafana": "grafana/grafana:13.1.6",
    "loki": "grafana/loki:3.7.6",
    "alloy": "grafana/alloy:v1.18.1",
    "node-exporter": "prom/node-exporter:v1.12.1",
    "cadvisor": "ghcr.io/google/cadvisor:0.60.5",
    "blackbox-exporter": "prom/blackbox-exporter:v0.28.0",
}
GRAFANA_PASSWORD, GRAFANA_KEY = "grafana_admin_password", "grafana_secret_key"  # secrets that it needs
OWN_GROUP, USUAL_GROUP = "monitoring", "ui"
DAY = 86400.0


class Metrics(Model):
    """Where a service tells its metrics, in Prometheus' text format."""

    enabled: bool = Field(default=True, description="false: it has none")
    port: PortNumber | None = Field(
        default=None, description="port inside its container; default: its first port of protocol http or web"
    )
    path: str = Field(default="/metrics", pattern=r"^/\S*$", description="path of the metrics")


def _as_metrics(value: Any) -> Any:
    if isinstance(value, bool):
        return {"enabled": value}
    return {"port": value} if isinstance(value, int) else value


MetricsField = Annotated[Metrics, BeforeValidator(_as_metrics, json_schema_input_type=Metrics | int | bool)]


class Part(Model):
    """What is different about one part of the monitoring; what is not given stays as it is built in."""

    enabled: bool = Field(default=True, description="false: this part is left out")
    image: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
        description="another image: of your own registry, or one that `images.archives` has",
    )
    build: str | None = Field(default=None, min_length=1, description="build folder instead of an image")
    cpus: Annotated[Cores, Field(gt=0, le=1024)] | None = Field(default=None, description="CPU limit, in cores")
    memory: Bytes | None = Field(default=None, description="memory limit")
    reserve_memory: Reservation | None = Field(default=None, description="memory that must be free to place it")
    environment: dict[str, Scalar] = Field(default={}, description="environment variables beside its own")
    arguments: list[str] = Field(default=[], description="arguments beside its own")
    published: Literal[False] | PortNumber | None = Field(
        default=None, description="another port of the edge, or false: it is not published"
    )
    allow_from: list[Cidr] | None = Field(
        default=None, description="networks that may use its published port; default: `monitoring.allow_from`"
    )


def _logs_long_enough(seconds: float) -> float:
    if seconds < DAY:
        raise ValueError("Loki keeps logs for a day at least; write 24h or more")
    return seconds


class Retention(Model):
    """How long what was seen is kept."""

    metrics: Period = Field(default=30 * DAY, gt=0, description="how long Prometheus keeps metrics")
    size: Bytes = Field(default=10 * 1024**3, description="most disk that Prometheus uses; the oldest goes first")
    logs: Annotated[Period, AfterValidator(_logs_long_enough)] = Field(
        default=14 * DAY, description="how long Loki keeps logs; it has no limit by size"
    )


class Slack(Model):
    """A channel of Slack."""

    channel: str = Field(min_length=1, description="such as #on-call")
    secret: SecretName = Field(description="the secret that is the webhook's address")


class Email(Model):
    """Mail."""

    to: list[str] = Field(min_length=1, description="addresses")
    sender: str = Field(min_length=3, description="address that it comes from")
    smarthost: str = Field(pattern=r"^\S+:\d+$", description="mail server, HOST:PORT")
    user: str | None = Field(default=None, min_length=1, description="user there")
    secret: SecretName | None = Field(default=None, description="the secret that is the user's password")
    tls: bool = Field(default=True, description="only with STARTTLS")


class Receiver(Model):
    """Somebody who is told of alerts."""

    webhook: str | None = Field(default=None, pattern=r"^https?://\S+$", description="address that is posted to")
    webhook_secret: SecretName | None = Field(
        default=None, description="the secret that is such an address (Alertmanager 0.26 or later)"
    )
    slack: Slack | None = Field(default=None, description="a channel of Slack")
    email: Email | None = Field(default=None, description="mail")
    severities: list[Literal["page", "ticket"]] = Field(
        default=["page", "ticket"],
        description="page: somebody must act now; ticket: within days; []: none of them, for `watchdog: true`",
    )
    watchdog: bool = Field(
        default=False, description="is told every minute that alerting works, for a dead man's switch"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Receiver:
        ways = [self.webhook, self.webhook_secret, self.slack, self.email]
        if len([way for way in ways if way is not None]) != 1:
            raise ValueError("give it one of `webhook`, `webhook_secret`, `slack`, `email`")
        return self


class Alerts(Model):
    """Who is told of what."""

    receivers: dict[Name, Receiver] = Field(default={}, description="every receiver by its name")
    error_budget: Annotated[float, Field(strict=True)] = Field(
        default=0.01, gt=0, lt=1, description="part of the requests that may fail in 30 days"
    )
    latency: Seconds = Field(default=10.0, gt=0, description="p95 of requests above it raises an alert")
    runbooks: str = Field(
        default="docs/runbooks",
        min_length=1,
        description="what comes before `/ALERT.md` in an alert's link to its runbook: the address you publish them at",
    )
    daily_cost: Annotated[float, Field(strict=True)] | None = Field(
        default=None, gt=0, description="US dollars a day that the models may cost"
    )
    minimum: Count = Field(
        default=20, ge=1, description="requests within a window, below which error ratios raise no alert"
    )


class Monitoring(Model):
    """Prometheus, Grafana, Loki and what belongs to them."""

    enabled: bool = Field(
        default=False,
        description="true: part of every deploy; false: `llmdeploy ENV monitoring` brings it up, and deploys keep it",
    )
    group: GroupName | None = Field(
        default=None,
        description="inventory group whose hosts run it; default: the group `monitoring` if there is one, else `ui`",
    )
    allow_from: list[Cidr] = Field(
        default=[],
        description="networks that may use Prometheus, Loki and Alertmanager, which have no login; default: only the "
        "environment's own hosts",
    )
    interval: Seconds = Field(default=15.0, ge=1, description="between two looks of Prometheus at everything")
    retention: Retention = Field(default=Retention(), description="how long what was seen is kept")
    alerts: Alerts = Field(default=Alerts(), description="who is told of what")
    docker_metrics: PortNumber | None = Field(
        default=None, description="port at which Docker on every host tells its metrics, where it does (metrics-addr)"
    )
    parts: dict[PartName, Part] = Field(default={}, description="what is different about single parts")

    def home(self, groups: Container[str]) -> str:
        """The inventory group whose host keeps its data; `groups`: those there are."""
        return self.group or (OWN_GROUP if OWN_GROUP in groups else USUAL_GROUP)

    def image(self, part: PartName) -> str | None:
        """The image of a part, None where it is built."""
        given = self.parts.get(part, Part())
        return given.image or (None if given.build else IMAGES[part])

    def published(self, part: PartName) -> int | None:
        """The port of the edge that a part is published at."""
        given = self.parts.get(part, Part()).published
        return EDGE_PORTS.get(part) if given is None else given or None

    def has(self, part: PartName) -> bool:
        """Whether the part is not left out; without Loki there is nobody whom Alloy could send logs to."""
        if part == "alloy" and not self.has("loki"):
            return False
        return part not in self.parts or self.parts[part].enabled
