"""Whether services are there, and what llmdeploy tells of releases: replicas.yml, releases.yml."""

from tests.unit.monitoring.alerts.cases import Case, Series, Table, scope


def probe(service: str, number: int) -> str:
    return f'probe_success{{job="replicas",service="{service}",instance="10.0.1.{number}:80"}}'


def wanted(service: str, manager: str = "m1") -> str:
    return f'llmdeploy_service_replicas_desired{{job="node",instance="{manager}",stack="llm",service="{service}"}}'


def when(manager: str = "m1") -> str:
    return f'llmdeploy_release_timestamp_seconds{{job="node",instance="{manager}",stack="llm"}}'


def grpc(status: str) -> str:
    return (
        'probe_grpc_healthcheck_response{job="replicas",service="head",instance="10.0.1.9:50055",'
        f'serving_status="{status}"}}'
    )


PROBER = {'up{job="blackbox-exporter",instance="b"}': "1x30"}
STORE = {probe("store", 7): "1x30"}
HEALTHY: Series = {
    **PROBER,
    **STORE,
    probe("web", 1): "1x30",
    probe("web", 2): "1x30",
    grpc("SERVING"): "1x30",
    grpc("NOT_SERVING"): "0x30",
    when(): "100x30",
    wanted("web"): "2x30",
    wanted("store"): "1x30",
    wanted("job"): "1x30",  # has no ports: nobody can probe it
}
WEB = {"service": "web"}
CASES = [
    # All replicas fail; two and a half minutes later somebody has been told.
    Case(
        "ServiceDown",
        {**PROBER, **STORE, probe("web", 1): "1x10 0x20", probe("web", 2): "1x10 0x20", when(): "1x30",
         wanted("web"): "2x30"},
        "12m",
        [WEB],
    ),
    # None is left to be asked.
    Case(
        "ServiceDown",
        {**PROBER, **STORE, probe("web", 1): "1x10 stale", when(): "1x30", wanted("web"): "2x30"},
        "12m",
        [WEB],
    ),
    # None was ever there, before the first release was written down.
    Case("ServiceDown", {**PROBER, **STORE}, "5m", [WEB]),
    # An old prober that hangs with a service gives no answer at all.
    Case(
        "ServiceDown",
        {**PROBER, **STORE, 'up{job="replicas",service="web",instance="10.0.1.1:80"}': "0x30"},
        "5m",
        [WEB],
    ),
    Case("ServiceDown", {**PROBER, **STORE, probe("web", 1): "0x30", probe("web", 2): "1x30"}, "10m"),
    Case("ServiceDown", {**PROBER, **STORE, when(): "1x30", wanted("web"): "0x30"}, "10m"),  # scaled to nothing
    Case("ServiceDown", {**PROBER, when(): "1x30", wanted("store"): "1x30", **STORE}, "10m"),  # not released yet
    Case("ServiceDown", {'up{job="blackbox-exporter",instance="b"}': "1x5 0x30"}, "10m"),  # nobody looks
    Case("ServiceDown", {**PROBER, **STORE, probe("web", 1): "1x10 0 1x20"}, "12m"),  # one bad answer
    Case("ServiceReplicasMissing", {**PROBER, **STORE, probe("web", 1): "1x30", probe("web", 2): "0x30"}, "10m", [WEB]),
    Case(
        "ServiceReplicasMissing",
        {**HEALTHY, wanted("web"): "4x30", wanted("web", "m2"): "1x30", when("m2"): "50x30"},  # the older is out
        "10m",
        [WEB],
    ),
    Case("ServiceReplicasMissing", {**HEALTHY, wanted("web", "m2"): "9x30", when("m2"): "50x30"}, "10m"),
    Case("ServiceReplicasMissing", {**PROBER, **STORE, probe("web", 1): "0x30"}, "10m"),  # ServiceDown's matter
    Case("GrpcUnhealthy", {grpc("SERVING"): "0x30", grpc("NOT_SERVING"): "1x30"}, "5m", [{"service": "head"}]),
    Case("GrpcUnhealthy", {grpc("SERVING"): "1x30", grpc("NOT_SERVING"): "0x30"}, "5m"),
]  # fmt: skip


def release(result: str, manager: str = "m1") -> str:
    return f'llmdeploy_release_number{{job="node",instance="{manager}",stack="llm",action="deploy",result="{result}"}}'


RELEASES = [
    Case("ReleaseFailed", {when(): "9x9", release("unhealthy"): "12x9"}, "5m", [{"action": "deploy"}]),
    Case(
        "ReleaseFailed",
        {when(): "9x9", release("done"): "13x9", when("m2"): "5x9", release("failed", "m2"): "9x9"}, "5m",
    ),
    Case("ReleaseFailed", {when(): "9x9", release("rolled-back"): "12x9"}, "5m"),
    Case("ReleaseRolledBack", {when(): "9x9", release("rolled-back"): "12x9"}, "5m", [{"result": "rolled-back"}]),
    Case("ReleaseRolledBack", {when(): "9x9", release("done"): "12x9"}, "5m"),
    Case(
        "ReleaseMetricsUnreadable", {'node_textfile_scrape_error{job="node",instance="n"}': "1x30"}, "20m",
        [{"instance": "n"}],
    ),
    Case("ReleaseMetricsUnreadable", {'node_textfile_scrape_error{job="node",instance="n"}': "0x30"}, "20m"),
]  # fmt: skip
TABLES = [
    Table("replicas.yml", CASES, HEALTHY, scope()),
    Table("releases.yml", RELEASES, {when(): "9x30", release("done"): "12x30"}, scope()),
]
