"""What a deploy has to do on the hosts and in the cluster, from what `host` read on each of them. Pure.

`decide()` is asked twice in a run at most: after the first look, and after Docker was started somewhere. The command
line asks it too, to show a plan without Ansible.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import firewall, host_checks, host_images
from .host import LOCKED, UNLOCK
from .host_checks import Facts, Problem

GROUP_LABEL = "group."
EDGE_LABEL = "llmdeploy.edge"
STACK_LABEL = "llmdeploy.stack"
AUTOLOCK = {
    "on": "have managers locked after a restart",
    "off": "have managers locked after a restart no longer",
}


@dataclass(frozen=True)
class Site:
    """All that is known: `facts` and `hosts` (inventory variables) by host name, `variables` for all of them."""

    facts: Mapping[str, Facts]
    hosts: Mapping[str, Mapping[str, Any]]
    variables: Mapping[str, Any]
    probes: Mapping[str, str]  # machine architecture → SHA-256 of the probe for it

    @property
    def managers(self) -> Sequence[str]:
        """The hosts that shall be managers, the first one first."""
        return [str(name) for name in self.variables["llmdeploy_managers"]]

    @property
    def full(self) -> bool:
        """Whether nothing is to be skipped."""
        return bool(self.variables.get("llmdeploy_full"))

    def swarm(self, host: str) -> Mapping[str, Any]:
        """The host's own view of its Swarm."""
        return dict(self.facts[host]["docker"].get("swarm") or {"state": "inactive", "manager": False, "node": ""})

    @property
    def base(self) -> str:
        """The host whose cluster counts, empty where there is none yet.

        That is the first wanted manager that is one; else a host that manages a cluster with this stack's network.
        """
        for host in (*self.managers, *self.facts):
            if host in self.facts and self.swarm(host)["manager"] and (host in self.managers or self.is_ours(host)):
                return host
        return ""

    def is_ours(self, host: str) -> bool:
        """Whether the cluster that this host manages was set up for this stack."""
        network = self.facts[host]["docker"]["cluster"]["network"] or {"labels": {}}
        return bool(network["labels"].get(STACK_LABEL) == self.variables["llmdeploy_stack"])

    @property
    def locked(self) -> list[str]:
        """Managers whose Swarm waits for its unlock key: they tell nothing of the cluster."""
        return [host for host in self.facts if self.swarm(host)["state"] == "locked"]

    @property
    def nodes(self) -> dict[str, Mapping[str, Any]]:
        """The cluster's nodes by id."""
        cluster = self.facts[self.base]["docker"]["cluster"] if self.base else {"nodes": []}
        return {node["id"]: node for node in cluster["nodes"]}


def decide(site: Site) -> dict[str, Any]:
    """Problems, and what there is to do: an empty list or mapping means nothing."""
    prepare = [host for host in site.facts if _must_prepare(site, host)]
    problems = host_problems(site)
    problems += [problem for rule in (_swarm_problems, _network_problems, _image_problems) for problem in rule(site)]
    manager = site.base or site.managers[0]
    cluster, images, edge, restrict = _cluster(site), _images(site), _edge(site), _firewall(site)
    builder = [site.variables["llmdeploy_builder"]] if images["make"] else []
    return {
        "problems": sorted(problems, key=lambda problem: problem["level"]),
        "manager": manager,
        "prepare": prepare,
        "unknown": [host for host in site.facts if not site.facts[host]["docker"]["running"]],
        "cluster": cluster,
        "images": images,
        "edge": edge,
        "firewall": restrict,
        "plays": {  # the hosts that take part in each play of site.yml
            "prepare": prepare,
            "firewall": list(restrict),
            "cluster": [manager, *cluster["join"]] if cluster["busy"] else [],
            "images": list(dict.fromkeys([*builder, *images["deliver"]])),
            "release": [manager],
        },
    }


def host_problems(site: Site) -> list[Problem]:
    """What stands in the way on each host by itself, whatever the others are."""
    return [problem for host in site.facts for problem in _host_problems(site, host)]


def summary(todo: Mapping[str, Any]) -> list[str]:
    """What `decide` found to do, in words, for a plan."""
    cluster, images = todo["cluster"], todo["images"]
    lines = [f"{host}: prepare (Docker, probe)" for host in todo["prepare"]]
    lines += [f"{todo['manager']}: form a new Swarm"] if cluster["init"] else []
    lines += [f"{host}: join the Swarm as {role}" for host, role in cluster["join"].items()]
    lines += [f"{host}: become a manager" for host in cluster["promote"]]
    lines += [f"{host}: set node labels" for host in cluster["label"] if host not in cluster["join"]]
    lines += ["create the network"] if cluster["network"] else []
    lines += [AUTOLOCK[cluster["autolock"]]] if cluster["autolock"] else []
    lines += [f"make the image {ref}" for ref in images["make"]]
    lines += [f"{host}: deliver {', '.join(refs)}" for host, refs in images["deliver"].items()]
    lines += [
        f"{host}: {'restrict who may use its ports' if text else 'open its ports to everybody'}"
        for host, text in todo["firewall"].items()
    ]
    return lines + [f"{host}: put the edge's configuration in place" for host in todo["edge"]]


# --- hosts


def _must_prepare(site: Site, host: str) -> bool:
    facts = site.facts[host]
    docker = facts["docker"]
    return bool(
        site.full
        or not (docker["running"] and docker["cli"] and docker["sdk"])
        or facts["state"].get("fingerprint") != site.hosts[host]["llmdeploy_fingerprint"]
        or facts["probe"] != site.probes.get(facts["arch"], facts["probe"])
    )


def _host_problems(site: Site, host: str) -> list[Problem]:
    variables, own = site.variables, site.hosts[host]
    wanted = {
        "install": variables["llmdeploy_docker"]["install"],
        "disk_mb": variables.get("llmdeploy_requirements", {}).get("disk_mb", 0),
        "memory_mb": own.get("llmdeploy_memory_mb", 0),
        "ports": own.get("llmdeploy_ports", []),
        "encrypted": variables["llmdeploy_network"]["encrypted"],
        "manager": host in site.managers,
        "skew": site.facts[host].get("skew"),
    }
    return host_checks.check(host, site.facts[host], wanted)


def _firewall(site: Site) -> dict[str, str]:
    """Host → the script that it lacks: of its published ports and Swarm's, or of none any more."""
    own, allowed = _own_addresses(site), site.variables.get("llmdeploy_allow") or {}
    found = {}
    for host in site.facts:
        published = allowed if host in site.variables["llmdeploy_edge"]["hosts"] else {}
        text = firewall.script(published, own, _swarm_users(site, host))
        now = site.facts[host].get("firewall") or {"sha256": "", "intact": False}
        if firewall.sha(text) != now["sha256"] or (text and (site.full or not now["intact"])):
            found[host] = text
    return found


def _own_addresses(site: Site) -> list[str]:
    """Every address that a host of the inventory or a node of the cluster may be seen under by the others.

    A node's is the one that the managers see it under, whatever is translated on the way. New hosts are among them
    before they join.
    """
    found = {str(value) for host in site.facts for value in (advertised(site, host), _named(site, host))}
    for host, facts in site.facts.items():
        swarm = site.swarm(host)
        managers = (str(one).rpartition(":")[0].strip("[]") for one in swarm.get("managers") or ())
        found |= {facts["address"], str(swarm.get("address") or ""), *managers}
    found |= {str(node["address"]) for node in site.nodes.values()}
    return sorted(address for address in found if _is_address(address))


def _swarm_users(site: Site, host: str) -> Sequence[str] | None:
    """Who may use Swarm's ports on the host beside the stack's own hosts; None: everybody.

    This machine, as the only host, keeps its packet filter as it is.
    """
    networks: Sequence[str] | None = (site.variables.get("llmdeploy_swarm") or {}).get("allow_from")
    if networks is None or (len(site.hosts) == 1 and not site.hosts[host].get("llmdeploy_ssh")):
        return None
    everybody = any(ipaddress.ip_network(one, strict=False).prefixlen == 0 for one in networks)
    return None if everybody else networks


def _named(site: Site, host: str) -> str:
    return str(site.hosts[host].get("ansible_host") or host)


def _is_address(text: str) -> bool:
    try:
        return not (ipaddress.ip_address(text).is_unspecified or ipaddress.ip_address(text).is_loopback)
    except ValueError:
        return False


# --- cluster


def _problem(host: str, check: str, level: str, message: str, hint: str = "") -> Problem:
    return {"host": host, "check": check, "level": level, "message": message, "hint": hint}


def _swarm_problems(site: Site) -> Iterator[Problem]:
    if site.base and site.facts[site.base]["docker"]["cluster"]["error"]:
        error = site.facts[site.base]["docker"]["cluster"]["error"]
        hint = (
            "bring the other managers back; if they are lost: docker swarm init --force-new-cluster on one that is left"
        )
        yield _problem(site.base, "swarm", "error", f"the Swarm does not answer: {error}", hint)
        return
    for host in site.facts:
        yield from _member_problems(site, host)
    yield from _address_problems(site)
    yield from _stale_nodes(site)


def _member_problems(site: Site, host: str) -> Iterator[Problem]:
    swarm = site.swarm(host)
    node = site.nodes.get(swarm["node"])
    if swarm["state"] == "inactive" or host == site.base:
        return
    if swarm["state"] == "locked":
        yield _problem(host, "swarm", "error", LOCKED, UNLOCK)
    elif swarm["state"] == "error":
        message = f"its membership in a Swarm is broken: {swarm['error']}"
        hint = f"on {host}: docker swarm leave --force, then deploy again"
        yield _problem(host, "swarm", "error", message, hint)
    elif node is None and not site.base and site.locked:
        return  # a locked manager does not tell whether it is ours; that it is locked is told
    elif node is None:
        yield _foreign(site, host, swarm)
    elif node["state"] != "ready":
        hint = "are 2377/tcp, 7946/tcp+udp and 4789/udp open between the hosts?"
        yield _problem(host, "swarm", "warning", f"the Swarm says that its node is {node['state']}", hint)
    elif node["availability"] != "active":
        hint = f"docker node update --availability active {node['id']}"
        message = f"its node is set to {node['availability']}: nothing new is placed there"
        yield _problem(host, "swarm", "warning", message, hint)


def _foreign(site: Site, host: str, swarm: Mapping[str, Any]) -> Problem:
    known = f"cluster {swarm['cluster']}, " if swarm["cluster"] else ""
    others = ", ".join(swarm["managers"]) or "unknown"
    ours = f"is not the one of {site.base}" if site.base else f"{site.managers[0]} does not manage"
    message = f"it is in a foreign Swarm ({known}managers {others}), which {ours}"
    hint = f"if it shall leave that one: on {host}, docker swarm leave --force (its services there end); deploy again"
    if swarm["manager"] and not site.base:
        hint += f". If that one shall be used: make {host} a manager in the inventory (llmdeploy_manager=true)"
    return _problem(host, "swarm", "error", message, hint)


def advertised(site: Site, host: str) -> str:
    """The address under which the other hosts shall reach this one."""
    return str(site.hosts[host].get("llmdeploy_advertise_addr") or site.facts[host]["address"])


def _address_problems(site: Site) -> Iterator[Problem]:
    """Addresses that other hosts cannot use; only of interest where a host is about to join."""
    coming = list(_joining(site))
    if not coming:
        return
    manager = site.base or site.managers[0]
    hint = "set llmdeploy_advertise_addr for the host, to the address that the other hosts reach"
    if site.base and site.swarm(site.base)["address"].startswith("127."):
        again = f"on {manager}: docker swarm leave --force (its services end), then deploy again"
        yield _problem(manager, "address", "error", "its Swarm was formed on 127.0.0.1: no host can join", again)
    users: dict[str, str] = {}
    for host in [*([] if site.base else [manager]), *coming]:
        address = advertised(site, host)
        if not address or address.startswith("127."):
            yield _problem(host, "address", "error", "no address that the other hosts could reach was found", hint)
        elif address in users:
            message = f"{users[address]} has the same address {address}"
            yield _problem(host, "address", "error", message, hint)
        users[address] = host


def _stale_nodes(site: Site) -> Iterator[Problem]:
    living = {site.swarm(host)["node"] for host in site.facts}
    names = {facts["hostname"]: host for host, facts in site.facts.items()}
    for node in site.nodes.values():
        if node["state"] == "down" and node["hostname"] in names and node["id"] not in living:
            message = f"an earlier node of this name, {node['id']}, is down and still listed in the Swarm"
            hint = f"on {site.base}: docker node rm --force {node['id']}"
            yield _problem(names[node["hostname"]], "swarm", "warning", message, hint)


def _network_problems(site: Site) -> Iterator[Problem]:
    network = site.facts[site.base]["docker"]["cluster"]["network"] if site.base else None
    wanted = site.variables["llmdeploy_network"]
    if network is None:
        return
    for text in network_differences(wanted, network):
        message = f"the network {wanted['name']} {text}"
        hint = f"set it so in the environment, or, while nothing uses it: docker network rm {wanted['name']}"
        yield _problem(site.base, "network", "error", message, hint)


def network_differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What about an existing network is not as wanted; none of it can be changed afterwards."""
    if found["driver"] != "overlay":
        return [f"is there already as a {found['driver']} network"]
    pairs = [
        ("mtu", int(wanted.get("mtu") or 0) or "the default", found["mtu"] or "the default"),
        ("encrypted", bool(wanted.get("encrypted")), found["encrypted"]),
        ("attachable", False, found["attachable"]),
    ]
    if wanted.get("subnet"):
        pairs.append(("subnet", wanted["subnet"], ", ".join(found["subnets"])))
    return [f"has {name} {has}, wanted {want}" for name, want, has in pairs if want != has]


def _joining(site: Site) -> dict[str, str]:
    """The hosts that are in no Swarm yet, with the role that they get; without the one that forms it."""
    first = site.base or site.managers[0]
    return {
        host: "manager" if host in site.managers else "worker"
        for host in site.facts
        if host != first and site.swarm(host)["state"] == "inactive"
    }


def wanted_labels(groups: Sequence[str]) -> dict[str, str]:
    """The node labels of a host in these groups."""
    return {GROUP_LABEL + group: "yes" for group in groups}


def new_labels(present: Mapping[str, str], groups: Sequence[str]) -> dict[str, str]:
    """All labels of a node after its groups were set; labels that are not ours stay."""
    return {key: value for key, value in present.items() if not key.startswith(GROUP_LABEL)} | wanted_labels(groups)


def _cluster(site: Site) -> dict[str, Any]:
    nodes = site.nodes
    members = {host: node for host in site.facts if (node := nodes.get(site.swarm(host)["node"]))}
    labels = [
        host
        for host, node in members.items()
        if node["labels"] != new_labels(node["labels"], site.hosts[host]["llmdeploy_groups"])
    ]
    join = _joining(site)
    found = site.facts[site.base]["docker"]["cluster"]["network"] if site.base else None
    todo: dict[str, Any] = {
        "init": not site.base and not site.locked,
        "join": join,
        "promote": [host for host in members if host in site.managers and members[host]["role"] != "manager"],
        "label": [*labels, *join],
        "network": found is None,
        "autolock": _autolock(site),
    }
    first = site.base or site.managers[0]
    return {
        **todo,
        "busy": site.full or any(todo.values()),
        "nodes": {host: node["id"] for host, node in members.items()},
        "addresses": {host: advertised(site, host) or "127.0.0.1" for host in (first, *join)},
    }


def _autolock(site: Site) -> str:
    """What becomes of it: `on` or `off`, empty where it stays as it is."""
    wanted = bool((site.variables.get("llmdeploy_swarm") or {}).get("autolock"))
    now = bool(site.base and site.swarm(site.base).get("autolock"))
    return "" if wanted == now else "on" if wanted else "off"


# --- images and edge


def _image_problems(site: Site) -> Iterator[Problem]:
    """Images that are copied between hosts need the same machine type and the same kind of image store."""
    builder = site.variables["llmdeploy_builder"]
    copied = [image for image in site.variables["llmdeploy_images"] if image["kind"] != "registry"]
    takers = {host for image in copied for host in image["hosts"]}
    made = site.facts[builder]
    for host in site.facts if copied else ():
        facts = site.facts[host]
        if host not in takers or host == builder:
            continue
        if facts["arch"] != made["arch"]:
            message = f"it is {facts['arch']}, but images are built on {builder}, which is {made['arch']}"
            hint = "take these images from a registry, in versions for both machine types"
            yield _problem(host, "images", "error", message, hint)
        stores = facts["docker"].get("store"), made["docker"].get("store")
        if None not in stores and stores[0] != stores[1]:
            message = f"its Docker keeps images in the {stores[0]} store, that of {builder} in the {stores[1]} one"
            hint = "use the same Docker version on all hosts, or take the images from a registry"
            yield _problem(host, "images", "error", message + ": an image has two ids then", hint)


def _images(site: Site) -> dict[str, Any]:
    images, builder = site.variables["llmdeploy_images"], site.variables["llmdeploy_builder"]
    pins, sources = host_images.known_pins(images, builder, site.facts)
    make = [image["ref"] for image in images if image["ref"] not in pins]
    deliver: dict[str, list[str]] = {}
    for host, facts in site.facts.items():
        soon = [image["ref"] for image in images if image["ref"] in make and host in image["hosts"] and host != builder]
        if refs := host_images.lacking(host, images, pins, facts) + soon:
            deliver[host] = refs
    return {"make": make, "pins": pins, "sources": sources, "deliver": deliver}


def _edge(site: Site) -> list[str]:
    """The hosts whose file is another than the cluster says: changed by hand, a host that is new or was away.

    Where the cluster itself has another configuration, replacing it is part of the release.
    """
    edge = site.variables["llmdeploy_edge"]
    labels = site.facts[site.base]["docker"]["cluster"]["edge"] if site.base else {}
    if labels.get(STACK_LABEL) != site.variables["llmdeploy_stack"] or labels.get(EDGE_LABEL) != edge["sha256"][:12]:
        return []
    return [
        host
        for host in edge["hosts"]
        if host in site.facts and (site.full or site.facts[host]["edge"]["sha256"] != edge["sha256"])
    ]
