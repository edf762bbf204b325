"""Who may use a published port, and Swarm's own: rules for a host's packet filter, as the script that puts them there.
Pure.

Docker forwards a published port before the host's own rules (INPUT, ufw) are asked; its chain DOCKER-USER comes first
(Docker's manual, "Packet filtering and firewalls"). There a packet has the container's address and port already, so the
port that was asked for is what connection tracking remembers. What Docker's proxy takes instead, IPv6 say, is in INPUT,
and so are the ports that Swarm itself listens on.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from .host import ADDRESSED, FORWARDED

_TRUSTED = ("lo", "docker_gwbridge", "docker0")  # the host itself, and containers on it
_HEAD = f"""\
#!/bin/sh
# Written by llmdeploy: who may use published ports and Swarm's. Run at each start of the host, before Docker or after.
set -eu

put() {{
    "$1" -w 30 -N DOCKER-USER 2>/dev/null || true # Docker keeps a chain of this name
    "$1" -w 30 -C FORWARD -j DOCKER-USER 2>/dev/null || "$1" -w 30 -I FORWARD -j DOCKER-USER
    "$1-restore" -w 30 --noflush
    "$1" -w 30 -C DOCKER-USER -j {FORWARDED} 2>/dev/null || "$1" -w 30 -I DOCKER-USER -j {FORWARDED}
    "$1" -w 30 -C INPUT -j {ADDRESSED} 2>/dev/null || "$1" -w 30 -I INPUT -j {ADDRESSED}
}}
"""

Allowed = Mapping[str, Sequence[str]]
# Swarm's own: for managers; what hosts tell each other; VXLAN, which nothing else protects.
SWARM = (("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789))


def script(allowed: Allowed, own: Sequence[str], swarm: Sequence[str] | None = None) -> str:
    """In: port → networks (CIDR) that may use it, and the addresses of the stack's own hosts, which always may.

    `swarm`: networks that may use Swarm's ports beside them; None: everybody.
    Out: the script; empty where no port is restricted.
    """
    if not allowed and swarm is None:
        return ""
    four = "\n".join(_rules(allowed, own, swarm, 4))
    six = "\n".join(_rules(allowed, own, swarm, 6))
    put_six = f"if [ -e /proc/net/if_inet6 ]; then\nput ip6tables <<'END'\n{six}\nEND\nfi\n"
    return f"{_HEAD}\nput iptables <<'END'\n{four}\nEND\n{put_six}"


def sha(text: str) -> str:
    """What a host that has this script says of it; empty for none."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _rules(allowed: Allowed, own: Sequence[str], swarm: Sequence[str] | None, family: int) -> Iterator[str]:
    """For iptables-restore, which replaces the chains that it declares, in one step."""
    yield "*filter"
    for chain in (FORWARDED, ADDRESSED):
        yield f":{chain} - [0:0]"
    for chain in (FORWARDED, ADDRESSED):
        for interface in _TRUSTED:
            yield f"-A {chain} -i {interface} -j RETURN"
        for address in _of(family, own):
            yield f"-A {chain} -s {address} -j RETURN"
        for port in sorted(allowed, key=int):
            match = f"-A {chain} -p tcp {_asked_for(port) if chain == FORWARDED else f'--dport {port}'}"
            for network in _of(family, allowed[port]):
                yield f"{match} -s {network} -j RETURN"
            yield f"{match} -j DROP"
    for protocol, number in SWARM if swarm is not None else ():
        match = f"-A {ADDRESSED} -p {protocol} --dport {number}"
        for network in _of(family, swarm or ()):
            yield f"{match} -s {network} -j RETURN"
        yield f"{match} -j DROP"
    yield "COMMIT"


def _asked_for(port: str) -> str:
    """What Docker forwards, not what a container asks of somebody else on the same port, nor the answers."""
    return f"-m conntrack --ctstate DNAT --ctdir ORIGINAL --ctorigdstport {port}"


def _of(family: int, networks: Sequence[str]) -> list[str]:
    return [one for one in networks if ipaddress.ip_network(one, strict=False).version == family]
