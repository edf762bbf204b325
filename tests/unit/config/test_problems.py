"""Every kind of problem: its place, key, value, reason and hint, exactly as a person reads them."""

from __future__ import annotations

import pytest

from llmdeploy.config.models import Service
from llmdeploy.errors import Problem

from .conftest import CATALOGUE, Maker

ENV = "environments/dev.yml"
CAT = "inventory/group_vars/all.yml"
NAME = "must be a name: lower-case letters, digits and hyphens, at most 63, no hyphen at either end"
PORT = "must be a port number, 1 to 65535"
MEMORY = "not a memory size; write a number with a unit, such as 512MB or 4GB"
MAPPING = "must be a mapping, `key: value` lines"
TOP = (
    "known: confirm, deadline, defaults, docker, edge, images, monitoring, network, releases, secrets, services, "
    "stack, …"
)

KEYS = "known: " + ", ".join(sorted(Service.model_fields)[:12]) + ", …"

# What is written under `services.alpha` in the environment file (line 2) → path below it, value, why, hint.
ALPHA: list[tuple[str, str, str, str, str]] = [
    ("{replcias: 2}", ".replcias", "2", "unknown key", "did you mean `replicas`?"),
    ("{env: {A: b}}", ".env", "{…}", "unknown key", "did you mean `environment`?"),
    ("{depends-on: [beta]}", ".depends-on", "[…]", "unknown key", "did you mean `depends_on`?"),
    ("{replcias: null}", ".replcias", "null", "unknown key", "did you mean `replicas`?"),
    ("{update: {paralelism: 2}}", ".update.paralelism", "2", "unknown key", "did you mean `parallelism`?"),
    ("{update: {canary: 0}}", ".update.canary", "0", "must be more than 0", ""),
    (
        "{update: {canary: soon}}",
        ".update.canary",
        "soon",
        "not a duration; write seconds or a text such as 10s, 2m or 1h30m",
        "",
    ),
    ("{replicas: three}", ".replicas", "three", "must be a whole number", ""),
    ("{replicas: yes}", ".replicas", "yes", "must be a whole number", ""),
    ("{replicas: 1.5}", ".replicas", "1.5", "must be a whole number", ""),
    ('{replicas: "3"}', ".replicas", '"3"', "must be a whole number", ""),
    ("{replicas: 1:30}", ".replicas", "1:30", "must be a whole number", ""),
    ("{replicas: 0}", ".replicas", "0", "must be at least 1", ""),
    ("{command: sleep 5}", ".command", "sleep 5", "must be a list", ""),
    ("{image: [a]}", ".image", "[…]", "must be text", ""),
    ("{health: http}", ".health", "http", MAPPING, ""),
    ("[1]", "", "[…]", MAPPING, ""),
    ("{ports: [{number: 70000, protocol: http}]}", ".ports[0].number", "70000", PORT, ""),
    ("{ports: [{number: web, protocol: http}]}", ".ports[0].number", "web", PORT, ""),
    ("{ports: [{number: 1}]}", ".ports[0].protocol", "", "is missing", ""),
    ("{ports: [80]}", ".ports[0]", "80", MAPPING, ""),
    (
        "{ports: [{number: 1, protocol: htp}]}",
        ".ports[0].protocol",
        "htp",
        "must be one of http, grpc, tcp, web",
        "did you mean `http`?",
    ),
    (
        "{ports: [{number: 1, protocol: http, published: maybe}]}",
        ".ports[0].published",
        "maybe",
        "must be true, false, or the port number to answer on, 1 to 65535",
        "",
    ),
    (
        "{ports: [{number: 8404, protocol: http, published: true}]}",
        ".ports[0].number",
        "8404",
        "port 8404 belongs to the edge's own metrics and state",
        "",
    ),
    (
        "{ports: [{number: 1, protocol: http}, {number: 1, protocol: grpc}]}",
        ".ports[1].number",
        "1",
        "`alpha` lists port 1 twice",
        "",
    ),
    ("{memory: 4XB}", ".memory", "4XB", MEMORY, ""),
    (
        "{memory: 1MB}",
        ".memory",
        "1MB",
        "must be a memory size, at least 4MB and no more than hosts have, such as 512MB or 4GB",
        "",
    ),
    ("{memory: [1]}", ".memory", "[…]", MEMORY, ""),
    ("{memory: " + "9" * 400 + "GB}", ".memory", "9" * 59 + "…", MEMORY, ""),
    ("{reserve_memory: 2GB}", ".reserve_memory", "2GB", "reserves more than the limit of 1 GiB", ""),
    ("{reserve_cpus: 3}", ".reserve_cpus", "3", "reserves more than the limit of 0.5 cores", ""),
    ("{cpus: two}", ".cpus", "two", "must be a number", ""),
    ("{cpus: yes}", ".cpus", "yes", "must be a number", ""),
    ("{cpus: 0}", ".cpus", "0", "must be more than 0", ""),
    ("{cpus: .nan}", ".cpus", ".nan", "must be at most 1024", ""),
    (
        "{stop_grace: 10 parsecs}",
        ".stop_grace",
        "10 parsecs",
        "not a duration; write seconds or a text such as 10s, 2m or 1h30m",
        "",
    ),
    ("{depends_on: [bet]}", ".depends_on[0]", "bet", "no service `bet`", "did you mean `beta`?"),
    ("{depends_on: [zoo]}", ".depends_on[0]", "zoo", "no service `zoo`", "known: beta"),
    ("{depends_on: [alpha]}", ".depends_on[0]", "alpha", "`alpha` depends on itself", ""),
    ("{depends_on: [Beta_X]}", ".depends_on[0]", "Beta_X", NAME, ""),
    ("{depends_on: beta}", ".depends_on", "beta", "must be a list", ""),
    (
        "{depends_on: [beta]}",
        ".depends_on[0]",
        "beta",
        "services wait for each other: alpha → beta → alpha",
        "",
    ),
    (
        "{depends_on: [edge]}",
        ".depends_on[0]",
        "edge",
        "nothing depends on the edge; it follows the services",
        "",
    ),
    ("{group: oen}", ".group", "oen", "no group `oen` in inventory/dev.ini", "did you mean `one`?"),
    ("{group: a b}", ".group", "a b", "must be a group name: letters, digits, `-`, `_` and `.`", ""),
    ("{image: a b}", ".image", "a b", "must be an image, such as registry.example/team/app:1.2", ""),
    ('{image: ""}', ".image", '""', "must not be empty", ""),
    ("{build: nowhere}", ".build", "nowhere", "no folder `nowhere` in the project", ""),
    ("{build: inventory}", ".build", "inventory", "no file `inventory/Dockerfile` in the project", ""),
    (
        "{build: {context: inventory, dockerfile: D2}}",
        ".build.dockerfile",
        "D2",
        "no file `inventory/D2` in the project",
        "",
    ),
    ('{build: "a\\u0001b"}', ".build", "a\\x01b", "no folder `a\\x01b` in the project", ""),
    (
        "{health: {port: 1}}",
        ".health.port",
        "1",
        "port 1 is not a port of `alpha`",
        "its ports: 8000",
    ),
    (
        "{health: {type: grpc}}",
        ".health.type",
        "grpc",
        "`alpha` has no port that speaks grpc",
        "name the port to ask: `port: NUMBER`",
    ),
    (
        "{health: {type: command}}",
        ".health",
        "{…}",
        "a health check of type command needs `command`",
        "",
    ),
    (
        "{health: {command: [x]}}",
        ".health.command",
        "[…]",
        "is run only by a health check of `type: command`",
        "add `type: command`",
    ),
    ("{health: {path: nope}}", ".health.path", "nope", "must start with / and hold no spaces", ""),
    (
        '{volumes: ["./data:/data"]}',
        ".volumes[0]",
        "./data:/data",
        "`./data` is neither an absolute path on the host nor a volume's name",
        "paths begin with /; names are letters, digits, `-`, `_` and `.`",
    ),
    (
        '{volumes: ["a1:/data", "/b:/data/"]}',
        ".volumes[1]",
        "/b:/data/",
        "`/data` has a volume already, volumes[0]",
        "",
    ),
    (
        "{volumes: [abc]}",
        ".volumes[0]",
        "abc",
        "not a volume; write NAME:/path, /host/path:/path, with :ro at the end for read-only",
        "",
    ),
    (
        '{volumes: ["a1:data"]}',
        ".volumes[0]",
        "a1:data",
        "must be an absolute path, starting with /",
        "",
    ),
    (
        '{volumes: ["a1:/llmdeploy/x"]}',
        ".volumes[0]",
        "a1:/llmdeploy/x",
        "`/llmdeploy/x` belongs to the health probe",
        "",
    ),
    ('{volumes: ["a1:/"]}', ".volumes[0]", "a1:/", "nothing can be mounted over /", ""),
    ("{volumes: [{source: a1}]}", ".volumes[0].target", "", "is missing", ""),
    (
        '{environment: {"A B": secret}}',
        ".environment.A B",
        "",
        "is not a variable's name: letters, digits, `_`, `.` and `-`, no digit first",
        "",
    ),
    ("{environment: [PASSWORD=secret]}", ".environment", "", MAPPING, ""),
    (
        "{environment: {PASSWORD: {a: secret}}}",
        ".environment.PASSWORD",
        "",
        "must be one value: text, a number, true or false",
        "",
    ),
    ("{api_token: secret}", ".api_token", "", "unknown key", KEYS),
    (
        "{replicas: 16}",
        ".replicas",
        "16",
        "16 replicas and 1 more during an update are too many for the edge's 16 slots",
        "raise edge.slots to 17",
    ),
    (
        "{replicas: 17, update: {order: stop-first}}",
        ".replicas",
        "17",
        "17 replicas are too many for the edge's 16 slots",
        "raise edge.slots to 17",
    ),
    (
        "{update: {order: start_first}}",
        ".update.order",
        "start_first",
        "must be one of start-first, stop-first",
        "did you mean `start-first`?",
    ),
]


@pytest.mark.parametrize(("text", "path", "value", "why", "hint"), ALPHA, ids=[case[0][:40] for case in ALPHA])
def test_problem_in_a_service(maker: Maker, text: str, path: str, value: str, why: str, hint: str) -> None:
    maker.environment(f"services:\n  alpha: {text}\n")
    assert maker.problems() == [Problem(ENV, 2, f"services.alpha{path}", value, why, hint)]


SINGLE = "(expected a single document in the stream, begun on line 1)"
BOMB = "a: &a [x]\nb: &b [" + "*a," * 300 + "]\nc: [" + "*b," * 300 + "]"

# A whole environment file → its one problem as it is shown.
WHOLE: list[tuple[str, str]] = [
    ("services:\n  alpah: {cpus: 2}", "2: services.alpah: no service `alpah` in the catalogue (did you mean `alpha`?)"),
    ("services:\n  alpah: null", "2: services.alpah: no service `alpah` in the catalogue (did you mean `alpha`?)"),
    (
        "services:\n  gamma: {replicas: 2}",
        (
            "2: services.gamma: `gamma` is not in the catalogue and, as a new service, lacks group "
            "(services of the catalogue: alpha, beta)"
        ),
    ),
    ("services:\n  edge: {group: one}", "2: services.edge: the name `edge` belongs to the edge proxy"),
    ("services:\n  Al_pha: {group: one, image: a}", f"2: services.Al_pha = {{…}}: {NAME}"),
    ("services: [a]", f"1: services = […]: {MAPPING}"),
    ("stack: Bad Stack", f"1: stack = Bad Stack: {NAME}"),
    ("sevices: {}", "1: sevices = {…}: unknown key (did you mean `services`?)"),
    ("zzz: 1", f"1: zzz = 1: unknown key ({TOP})"),
    ("ansible_user: x", "1: ansible_user = x: unknown key (variables of hosts belong in the inventory)"),
    ("confirm: maybe", "1: confirm = maybe: must be true or false"),
    ("network: {mtu: 10}", "1: network.mtu = 10: must be at least 576"),
    ("network: {subnet: x}", "1: network.subnet = x: must be a subnet such as 10.20.0.0/16"),
    ("network: {name: -x}", "1: network.name = -x: must be a name: letters, digits, `-`, `_` and `.`"),
    ("releases: {keep: 1}", "1: releases.keep = 1: must be at least 2"),
    ("releases: {keep: 201}", "1: releases.keep = 201: must be at most 200"),
    ("releases: {keep: yes}", "1: releases.keep = yes: must be a whole number"),
    ("docker: {log_max_size: 10}", "1: docker.log_max_size = 10: must be a size such as 10m"),
    ("edge:\n  groups: [tow]", "2: edge.groups[0] = tow: no group `tow` in inventory/dev.ini (known: all, one)"),
    ("images: {archives: [a.tar]}", "1: images.archives[0] = a.tar: no file `a.tar` in the project"),
    ("defaults: {memory: 4XB}", f"1: defaults.memory = 4XB: {MEMORY}"),
    ("defaults: {replcias: 2}", "1: defaults.replcias = 2: unknown key (did you mean `replicas`?)"),
    ("defaults: [1]", f"1: defaults = […]: {MAPPING}"),
    ("stack: a\nstack: b", "2: stack: the key is there twice, first on line 1"),
    ("stack: !vault x", "1: stack = x: the tag !vault is not allowed here"),
    ("stack: !!python/object:os.system x", "1: stack = x: the tag !!python/object:os.system is not allowed here"),
    ("services: {1: {}}", "1: services = 1: the key is not text (put the key in quotes)"),
    ("on: 1", "1 = on: the key is not text (put the key in quotes)"),
    ("stack: !!int abc", "1: stack = abc: is not a number"),
    ('stack: "a\\0b"', "1: stack = a\\x00b: holds a NUL character"),
    ("services: [", "1: broken YAML: did not find expected node content"),
    (
        "services:\n\talpha: 1",
        "2: broken YAML: found character that cannot start any token (indent with spaces, not with tabs)",
    ),
    ("stack: *x", "1: broken YAML: found undefined alias"),
    ("stack: a\n---\nstack: b", f"2: broken YAML: but found another document {SINGLE}"),
    ("- a", "1: the file must hold a mapping, `key: value` lines"),
    ("stack: " + "[" * 60 + "]" * 60, "1: nested deeper than 50 levels"),
    ("stack: " + "[" * 100_000, "1: nested deeper than 50 levels"),
    ("stack: &a [*a]", "1: stack[0]: too large once its aliases are expanded"),
    (BOMB, "1: c[82]: too large once its aliases are expanded"),
]


@pytest.mark.parametrize(("text", "shown"), WHOLE, ids=[case[0][:40] for case in WHOLE])
def test_problem_in_an_environment_file(maker: Maker, text: str, shown: str) -> None:
    maker.environment(text)
    assert maker.lines() == [f"{ENV}:{shown}"]


@pytest.mark.parametrize("file", [ENV, CAT, "inventory/dev.ini"])
def test_files_that_are_no_text(maker: Maker, file: str) -> None:
    maker.write(file, b"# first line\n# \xe4\n")
    assert f"{file}:2: is not UTF-8 text (save the file as UTF-8)" in maker.lines()


@pytest.mark.parametrize("file", [ENV, CAT, "inventory/dev.ini"])
def test_files_that_are_missing_or_folders(maker: Maker, file: str) -> None:
    path = maker.project.root / file
    path.unlink()
    maker.write("inventory/dev.txt", "")
    if file != "inventory/dev.ini":
        assert [problem.why for problem in maker.problems()] == ["file not found"]
    else:
        assert maker.lines() == [f"{file}: file not found (name the hosts there; see `llmdeploy init` for an example)"]
    path.mkdir()
    assert maker.lines() == [f"{file}: is a folder; a file is expected"]


def test_a_file_too_large(maker: Maker) -> None:
    maker.environment("#" * 1024 * 1024 + "\n")
    assert maker.lines() == [f"{ENV}: is larger than 1 MB; this is no configuration"]


def test_problems_of_all_files_at_once(maker: Maker) -> None:
    maker.environment("services:\n  alpha: {replicas: x}\n  beta: {memory: q, depends_on: [alpah]}\nstak: a\n")
    maker.catalogue(CATALOGUE.replace("group: one\n    depends", "group: tow\n    depends"))
    maker.inventory("[one]\nhost1 ansible_port=ssh\n")
    assert maker.lines() == [
        f"{ENV}:2: services.alpha.replicas = x: must be a whole number",
        f"{ENV}:3: services.beta.depends_on[0] = alpah: no service `alpah` (did you mean `alpha`?)",
        f"{ENV}:3: services.beta.memory = q: {MEMORY}",
        f"{ENV}:4: stak = a: unknown key (did you mean `stack`?)",
        "inventory/dev.ini:2: host1.ansible_port = ssh: must be a port number, 1 to 65535",
        f"{CAT}:8: services.beta.group = tow: no group `tow` in inventory/dev.ini (known: all, one)",
    ]


def test_one_port_published_by_two_services_names_both_places(maker: Maker) -> None:
    maker.environment("services:\n  beta:\n    ports:\n    - {number: 80, protocol: tcp, published: 8000}\n")
    assert maker.problems() == [
        Problem(
            ENV,
            4,
            "services.beta.ports[0].published",
            "8000",
            f"port 8000 is published by `alpha` already, in {CAT}:6",
            "`published: NUMBER` lets the edge answer on another port",
        )
    ]


def test_every_circle_is_shown_once(maker: Maker) -> None:
    edges = {"a": "b", "b": "c", "c": "a", "d": "e", "e": "d"}
    services = "".join(f"  {a}x: {{group: one, depends_on: [{b}x]}}\n" for a, b in edges.items())
    maker.catalogue(f"defaults: {{image: demo}}\nedge: {{image: e}}\nservices:\n{services}")
    assert maker.lines() == [
        f"{CAT}:4: services.ax.depends_on[0] = bx: services wait for each other: ax → bx → cx → ax",
        f"{CAT}:7: services.dx.depends_on[0] = ex: services wait for each other: dx → ex → dx",
    ]


def test_a_dependency_named_twice(maker: Maker) -> None:
    maker.environment("services:\n  beta: {depends_on: [alpha, alpha]}\n")
    assert maker.lines() == [f"{ENV}:2: services.beta.depends_on[1] = alpha: `alpha` is named twice"]


def test_a_long_chain_is_no_circle(maker: Maker) -> None:
    count = 1500
    services = "".join(f"  s{i}: {{group: one, depends_on: [s{i - 1}]}}\n" for i in range(1, count))
    maker.catalogue(f"defaults: {{image: demo}}\nedge: {{image: e}}\nservices:\n  s0: {{group: one}}\n{services}")
    assert len(maker.load().settings.services) == count


def test_image_missing_names_the_service(maker: Maker) -> None:
    maker.catalogue(CATALOGUE.replace("defaults: {image: demo}", "stack: x"))
    hint = "(give it `image: NAME:TAG`, or `build: FOLDER` with a Dockerfile)"
    assert maker.lines() == [
        f"{CAT}:3: services.alpha: image missing {hint}",
        f"{CAT}:7: services.beta: image missing {hint}",
    ]


def test_image_and_build_in_one_layer(maker: Maker) -> None:
    maker.write("inventory/Dockerfile", "")
    maker.environment("services:\n  alpha: {image: a, build: inventory}\n")
    assert maker.lines() == [f"{ENV}:2: services.alpha.image = a: image and build are both given (keep one of them)"]


def test_a_group_without_hosts_is_shown_where_it_is(maker: Maker) -> None:
    maker.inventory("[two]\nhost1\n\n[one]\n")
    assert maker.lines() == [
        "inventory/dev.ini:4: one: the group has no host; needed by alpha, beta (write a host under it)"
    ]


def test_requests_are_checked_each(maker: Maker) -> None:
    maker.environment(
        "verify:\n  requests:\n  - {name: a, service: alpah, port: 8000}\n  - {name: a, service: alpha, port: 8001}\n"
        "  - {name: a, service: beta, port: 5}\n  - {service: alpha, method: get}\n"
        "services: {beta: {ports: [{number: 5, protocol: tcp}]}}\n"
    )
    prefix = f"{ENV}:%d: verify.requests[%d]."
    assert maker.lines() == [
        prefix % (3, 0) + "service = alpah: no service `alpah` (did you mean `alpha`?)",
        prefix % (4, 1) + "port = 8001: `alpha` has no port 8001 (published ports of `alpha`: 8000)",
        prefix % (5, 2) + "port = 5: port 5 of `beta` is not published (published ports of `beta`: none)",
        prefix % (6, 3) + "method = get: must be one of GET, POST, PUT, HEAD, DELETE (did you mean `GET`?)",
        prefix % (6, 3) + "name: is missing",
        prefix % (6, 3) + "port: is missing",
    ]


def test_a_global_service_beyond_the_slots(maker: Maker) -> None:
    maker.inventory("[one]\nweb[01:20]\n")
    maker.environment("services:\n  alpha: {mode: global, update: {order: stop-first}}\n")
    assert maker.lines() == [
        (
            f"{ENV}:2: services.alpha.mode = global: 20 hosts in group `one` are too many for the edge's 16 slots "
            "(raise edge.slots to 20)"
        )
    ]


def test_no_services_at_all(maker: Maker) -> None:
    maker.catalogue("stack: x\n")
    assert maker.lines() == [f"{CAT}:1: services: is missing"]
    maker.catalogue("services: {}\n")
    assert maker.lines() == [f"{CAT}:1: services = {{…}}: must not be empty"]


def test_a_dependency_on_a_broken_service_is_no_second_problem(maker: Maker) -> None:
    maker.environment("services:\n  alpha: 5\n")
    assert maker.lines() == [f"{ENV}:2: services.alpha = 5: {MAPPING}"]
