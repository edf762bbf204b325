"""The typed shape of the catalogue and of an environment's overrides.

Both files have one shape: `inventory/group_vars/all.yml` fills it, `environments/ENV.yml` overrides it.
Unknown keys are errors. Field descriptions are the source of the README's configuration reference.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from llmdeploy.config.fields import (
    Bytes,
    Capability,
    Cidr,
    Cores,
    Count,
    Folder,
    GroupName,
    Model,
    Name,
    PortNumber,
    Protocol,
    Reservation,
    Scalar,
    Seconds,
    SecretName,
    SecretPart,
)
from llmdeploy.config.verifying import Verify
from llmdeploy.config.watching import GRAFANA_KEY, GRAFANA_PASSWORD, Metrics, MetricsField, Monitoring


class Port(Model):
    """A port of a service, on the container's side."""

    number: PortNumber = Field(description="port the service listens on inside its container")
    protocol: Protocol = Field(
        description="http, grpc (cleartext HTTP/2), tcp, or web (HTTP with web sockets for people)"
    )
    published: bool | PortNumber = Field(
        default=False,
        description="true: the edge answers on the same port of every edge host; a number: on that port",
    )
    allow_from: list[Cidr] = Field(
        default=[], description="networks that may use the published port, such as 10.0.0.0/8; default: everybody"
    )
    tls: bool | None = Field(
        default=None, description="whether the edge speaks TLS on the published port; default: on all but tcp"
    )

    @property
    def edge(self) -> int | None:
        """The port the edge answers on, None when the port is internal."""
        if self.published is True:
            return self.number
        return self.published or None


class Health(Model):
    """How a service proves that it works. Gates the rollout for every image, also one without a shell."""

    type: Literal["http", "grpc", "tcp", "command", "image", "none"] | None = Field(
        default=None,
        description="http, grpc (grpc.health.v1), tcp, command, image (the image's own HEALTHCHECK), none; "
        "default: by the protocol of the service's first port",
    )
    port: PortNumber | None = Field(default=None, description="default: the first port of that type")
    path: str = Field(default="/health", pattern=r"^/\S*$", description="for http")
    service: str = Field(default="", description="for grpc: the name asked for")
    command: list[str] = Field(default=[], description="for command: run inside the container, exit 0 is healthy")
    interval: Seconds = Field(default=2.0, description="between two checks")
    timeout: Seconds = Field(default=2.0, description="of one check")
    retries: Count = Field(default=3, ge=1, le=100, description="failures in a row that make it unhealthy")
    start_period: Seconds = Field(default=30.0, description="failures do not count this long after the start")

    @model_validator(mode="after")
    def _command_is_given(self) -> Health:
        if self.type == "command" and not self.command:
            raise ValueError("a health check of type command needs `command`")
        return self


class Update(Model):
    """How a running service is replaced."""

    parallelism: Count = Field(default=1, ge=1, description="replicas replaced at once")
    order: Literal["start-first", "stop-first"] = Field(
        default="start-first", description="stop-first for a service that must not run twice"
    )
    delay: Seconds = Field(default=0.0, description="between two replicas")
    stability: Seconds = Field(
        default=1.0,
        description="how long all replicas must stay healthy before what depends on them is started; "
        "they are watched until the release has ended",
    )
    canary: Seconds = Field(
        default=10.0,
        gt=0,
        description="how long the first replica is watched before the others follow, where `--canary` asks for it",
    )
    deadline: Seconds = Field(default=120.0, description="from start to done; longer is a failure")


class Build(Model):
    """A folder with a Dockerfile."""

    context: str = Field(min_length=1, description="folder, relative to the project")
    dockerfile: str = Field(default="Dockerfile", min_length=1, description="relative to the folder")
    args: dict[str, str] = Field(default={}, description="build arguments")


def _as_build(value: Any) -> Any:
    return {"context": value} if isinstance(value, str) else value


BuildField = Annotated[Build, BeforeValidator(_as_build, json_schema_input_type=Build | str)]


class Volume(Model):
    """A named volume or a host folder mounted into the service."""

    source: str = Field(description="volume name, or absolute path on the host")
    target: str = Field(pattern=r"^/", description="absolute path in the container")
    read_only: bool = Field(default=False, description="the service cannot write to it")
    follow_mounts: bool = Field(
        default=False, description="of a host folder: what the host mounts below it later is seen as well (rslave)"
    )


def _as_volume(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = value.split(":")
    if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"], ["rw"]):
        raise ValueError("not a volume; write NAME:/path, /host/path:/path, with :ro at the end for read-only")
    return {"source": parts[0], "target": parts[1], "read_only": parts[2:] == ["ro"]}


VolumeField = Annotated[Volume, BeforeValidator(_as_volume, json_schema_input_type=Volume | str)]


class Secret(Model):
    """A secret of the stack: how it is generated, or which store it is in. Its value never stands in this file."""

    kind: Literal["password", "token", "key-pair", "certificate", "authority", "given"] = Field(
        default="password",
        description="what `secrets init` generates: password, token (URL-safe), key-pair (Ed25519; the public half is "
        "NAME.pub), certificate (self-signed; NAME is the key, NAME.crt the certificate), authority (the certificate "
        "and key that others are issued with), given (only people set it)",
    )
    length: Count = Field(default=32, ge=12, le=1024, description="characters of a password or a token")
    alphabet: Literal["letters-digits", "hex", "printable"] = Field(
        default="letters-digits", description="characters that a password is made of"
    )
    names: list[str] = Field(default=[], description="for certificate: the host names it is for")
    days: Count = Field(default=825, ge=1, le=3650, description="for certificate: how long it is valid")
    command: list[str] | None = Field(
        default=None, min_length=1, description="its value is what this program prints, such as [op, read, op://…]"
    )
    variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="its value is in this environment variable of whoever runs llmdeploy, in CI say",
    )

    @model_validator(mode="after")
    def _one_store(self) -> Secret:
        if self.command and self.variable:
            raise ValueError("`command` and `variable` are both given; a secret is in one store")
        return self

    def parts(self, name: str) -> list[str]:
        """The names of what is kept for it."""
        return [name, *{"key-pair": [f"{name}.pub"], "certificate": [f"{name}.crt"]}.get(self.kind, [])]


class SecretUse(Model):
    """A secret that a service is given, as a file in memory."""

    name: SecretPart = Field(description="a name under `secrets`, or the NAME.pub or NAME.crt of one")
    file: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="file in /run/secrets; default: its name"
    )
    mode: str = Field(default="0444", pattern=r"^0[0-7]{3}$", description="of the file; in quotes")
    uid: str = Field(default="0", pattern=r"^\d{1,10}$", description="owner of the file; in quotes")
    gid: str = Field(default="0", pattern=r"^\d{1,10}$", description="group of the file; in quotes")


def _as_secret_use(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


SecretUseField = Annotated[SecretUse, BeforeValidator(_as_secret_use, json_schema_input_type=SecretUse | str)]


class FileUse(Model):
    """A configuration file that a service is given, read-only. Another content is another release of the service."""

    target: Folder = Field(description="absolute path in the container")
    source: str | None = Field(default=None, min_length=1, description="file, relative to the project")
    text: str | None = Field(default=None, description="the content itself, instead of a file")
    mode: str = Field(default="0444", pattern=r"^0[0-7]{3}$", description="of the file; in quotes")
    uid: str = Field(default="0", pattern=r"^\d{1,10}$", description="owner of the file; in quotes")
    gid: str = Field(default="0", pattern=r"^\d{1,10}$", description="group of the file; in quotes")

    @model_validator(mode="after")
    def _one_content(self) -> FileUse:
        if (self.source is None) == (self.text is None):
            raise ValueError("give it either `source`, a file of the project, or `text`")
        return self


def _as_file_use(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    source, colon, target = value.partition(":")
    if not (source and colon and target.startswith("/")):
        raise ValueError("not a file; write FILE:/path/in/the/container")
    return {"source": source, "target": target}


FileUseField = Annotated[FileUse, BeforeValidator(_as_file_use, json_schema_input_type=FileUse | str)]


class Container(Model):
    """What every container has: an image, resources, environment, volumes."""

    image: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
        description="image reference: from a registry, from `images.archives`, or loaded on the first manager",
    )
    build: BuildField | None = Field(
        default=None, description="build folder (a path, or context/dockerfile/args) instead of an image"
    )
    command: list[str] | None = Field(default=None, description="arguments instead of the image's CMD")
    entrypoint: list[str] | None = Field(default=None, description="instead of the image's ENTRYPOINT")
    user: str | None = Field(default=None, description="user or uid[:gid] instead of the image's")
    capabilities: list[Capability] = Field(
        default=[], description="Linux capabilities that it keeps, such as CHOWN; all others are dropped"
    )
    read_only: bool = Field(default=False, description="it cannot write to its own file system, only to `tmpfs`")
    tmpfs: list[Folder] = Field(default=[], description="folders in memory, which count as its memory")
    pids: Count = Field(default=1024, ge=8, le=4194304, description="most processes and threads")
    cpus: Cores = Field(default=0.5, gt=0, le=1024, description="CPU limit, in cores")
    memory: Bytes = Field(default=1024**3, description="memory limit")
    reserve_cpus: Cores = Field(default=0.0, ge=0, le=1024, description="cores that must be free to place a replica")
    reserve_memory: Reservation = Field(default=0, description="memory that must be free to place a replica")
    environment: dict[str, Scalar] = Field(default={}, description="environment variables")
    volumes: list[VolumeField] = Field(default=[], description="`name:/path[:ro]` or source/target/read_only")
    secrets: list[SecretUseField] = Field(default=[], description="names, or name/file/mode/uid/gid; in /run/secrets")
    files: list[FileUseField] = Field(
        default=[], description="configuration files: `FILE:/path`, or target with source or text, mode, uid, gid"
    )
    hostname: str | None = Field(
        default=None, min_length=1, max_length=200, description="its name for itself; {{.Node.Hostname}} is its host's"
    )
    stop_grace: Seconds = Field(default=10.0, description="between the stop signal and the kill")


class Service(Container):
    """One service of the stack."""

    group: GroupName = Field(description="inventory group whose hosts may run it")
    ports: list[Port] = Field(default=[], description="ports it listens on")
    depends_on: list[Name] = Field(default=[], description="services that must be healthy before it starts")
    replicas: Count = Field(default=1, ge=1, le=1000, description="copies to run")
    mode: Literal["replicated", "global"] = Field(
        default="replicated", description="global: one on every host of the group"
    )
    health: Health = Field(default=Health(), description="how it proves that it works")
    metrics: MetricsField = Field(
        default=Metrics(), description="port of its Prometheus metrics, or port and path; false: it has none"
    )
    update: Update = Field(default=Update(), description="how it is replaced")


class Edge(Container):
    """The edge proxy: HAProxy on every edge host, answering on the published ports."""

    groups: list[GroupName] | None = Field(
        default=None,
        description="inventory groups whose hosts run the edge; default: the group `edge` if there is one, else all",
    )
    slots: Count = Field(
        default=16, ge=1, le=256, description="most replicas of one service that the edge balances over"
    )
    stream_timeout: Seconds = Field(default=3600.0, description="idle limit of a request or a stream")


AUTHORITY = "tls_authority"  # the secret that the edge's certificates are issued with
TlsMode = Literal["internal", "files", "acme", "off"]


def _as_mode(value: Any) -> Any:
    return "off" if value is False else value  # what YAML makes of an unquoted `off`


class Tls(Model):
    """TLS at the edge, on every published port but those of protocol tcp."""

    mode: Annotated[TlsMode, BeforeValidator(_as_mode)] = Field(
        default="internal",
        description="internal: certificates of an authority of this environment's own, issued and renewed by deploys; "
        "files: your own certificate; off: no TLS; acme is refused: the edge's HAProxy has none",
    )
    names: list[str] = Field(
        default=[],
        description="host names and addresses that clients use; internal adds those of the edge hosts and localhost",
    )
    certificate: str | None = Field(
        default=None, description="for files: PEM file of the certificate and those between it and its authority"
    )
    key: str | None = Field(
        default=None, description="for files: PEM file of its key, readable by you only, or encrypted by ansible-vault"
    )
    authority: str | None = Field(
        default=None, description="for files: PEM file of the authority, where the hosts' system does not trust it"
    )
    allow_plaintext: bool = Field(default=False, description="accept ports without TLS in production")


class Network(Model):
    """The overlay network of the stack."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")] = Field(
        default="llm-network", description="name of the network in the cluster"
    )
    encrypted: bool = Field(default=False, description="encrypt between hosts (the kernel must have ESP)")
    mtu: Annotated[int, Field(ge=576, le=9000, strict=True)] | None = Field(
        default=None, description="below 1450 on VPNs and some clouds"
    )
    subnet: str | None = Field(
        default=None, pattern=r"^\d+\.\d+\.\d+\.\d+/\d+$", description="such as 10.42.0.0/16; default: Docker chooses"
    )


class Swarm(Model):
    """The cluster itself."""

    autolock: bool = Field(
        default=False,
        description="managers are locked after a restart of their Docker, until `swarm unlock` gives them the key; "
        "without it their disk does not tell the cluster's secrets",
    )
    allow_from: list[Cidr] = Field(
        default=[],
        description="networks that may use Swarm's own ports (2377, 7946, 4789) beside the hosts and the nodes of the "
        "cluster; 0.0.0.0/0: everybody, no rule is made for them",
    )


class Docker(Model):
    """What is done about Docker on the hosts."""

    install: bool = Field(default=True, description="install Docker where it is missing")
    log_max_size: str = Field(default="10m", pattern=r"^\d+[kmg]$", description="log rotation of containers")
    log_max_file: Count = Field(default=3, ge=1, le=100, description="files kept of each container's log")


class Images(Model):
    """Where images come from beyond a registry."""

    archives: list[str] = Field(default=[], description="image archives (docker save), relative to the project")
    allow: list[str] = Field(
        default=[], description="registries, or folders in them, that images may come from; default: any"
    )


class Releases(Model):
    """The history of releases in the cluster."""

    keep: Count = Field(
        default=20,
        ge=2,
        le=200,
        description="releases kept, with their images and configurations; those a rollback could need always are",
    )


class Settings(Model):
    """Everything about one environment, fully resolved."""

    stack: Name = Field(default="llm", description="name of the stack in the cluster")
    confirm: bool = Field(default=False, description="ask before every change (always so for production)")
    deadline: Seconds = Field(default=900.0, description="for a whole release")
    tls: Tls = Field(default=Tls(), description="TLS at the edge")
    network: Network = Field(default=Network(), description="the network that all services share")
    edge: Edge = Field(default=Edge(build=Build(context="edge")), description="the edge proxy")
    swarm: Swarm = Field(default=Swarm(), description="the cluster that the hosts form")
    docker: Docker = Field(default=Docker(), description="Docker on the hosts")
    images: Images = Field(default=Images(), description="images that no registry has")
    releases: Releases = Field(default=Releases(), description="the history that a rollback can go back to")
    defaults: dict[str, Any] = Field(default={}, description="values for every service that does not set them itself")
    secrets: dict[SecretName, Secret] = Field(default={}, description="every secret by its name, without its value")
    services: Annotated[dict[Name, Service], Field(min_length=1, description="every service by its name")]
    verify: Verify = Field(default=Verify(), description="checks beyond health")
    monitoring: Monitoring = Field(default=Monitoring(), description="what watches the stack")

    @model_validator(mode="before")
    @classmethod
    def _own_secrets(cls, data: Any) -> Any:
        """What the house itself needs is a secret like others: generated, encrypted, and rotated."""
        if not isinstance(data, dict):
            return data
        tls, watched, secrets = (data.get(key) or {} for key in ("tls", "monitoring", "secrets"))
        if not all(isinstance(section, dict) for section in (tls, watched, secrets)):
            return data
        own: dict[str, Any] = {}
        if tls.get("mode", "internal") == "internal":
            own[AUTHORITY] = {"kind": "authority"}
        if watched.get("enabled") is True:
            own |= {GRAFANA_PASSWORD: {"kind": "password"}, GRAFANA_KEY: {"kind": "password"}}
        return {**data, "secrets": {**own, **secrets}} if own else data

    def secured(self, port: Port) -> bool:
        """Whether the edge speaks TLS on this port."""
        if port.edge is None or self.tls.mode == "off":
            return False
        return port.protocol != "tcp" if port.tls is None else port.tls

    @property
    def has_tls(self) -> bool:
        """Whether the edge needs a certificate."""
        return any(self.secured(port) for service in self.services.values() for port in service.ports)
