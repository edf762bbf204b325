"""The rules that restrict published ports."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

from llmdeploy.engine.firewall import script, sha
from llmdeploy.engine.host_todo import Site, decide, summary
from tests.unit.engine_host.conftest import Facts, form

ALLOWED = {"8082": ["10.0.0.0/8", "fd00::/8"], "443": []}


def rules(text: str, program: str) -> list[str]:
    """What a program of the two is given."""
    found = re.search(rf"put {program} <<'END'\n(.*?)\nEND\n", text, re.DOTALL)
    assert found
    return found[1].splitlines()


def test_where_nothing_is_restricted_there_is_no_script() -> None:
    assert script({}, ["192.0.2.1"]) == ""
    assert sha("") == ""


def test_who_may_use_a_port() -> None:
    text = script(ALLOWED, ["192.0.2.1"])
    asked = "-A LLMDEPLOY -p tcp -m conntrack --ctstate DNAT --ctdir ORIGINAL --ctorigdstport"
    four = rules(text, "iptables")
    assert [rule for rule in four if rule.startswith(asked)] == [
        f"{asked} 443 -j DROP",
        f"{asked} 8082 -s 10.0.0.0/8 -j RETURN",
        f"{asked} 8082 -j DROP",
    ]
    assert "-A LLMDEPLOY -s 192.0.2.1 -j RETURN" in four
    assert "-A LLMDEPLOY-INPUT -p tcp --dport 8082 -s 10.0.0.0/8 -j RETURN" in four
    six = rules(text, "ip6tables")
    assert f"{asked} 8082 -s fd00::/8 -j RETURN" in six
    assert not [rule for rule in six if "10.0.0.0" in rule or "192.0.2.1" in rule]
    for one in (four, six):
        assert (one[0], one[-1]) == ("*filter", "COMMIT")
        assert one.index("-A LLMDEPLOY -i docker_gwbridge -j RETURN") < one.index(f"{asked} 443 -j DROP")


def test_swarms_ports_are_for_the_hosts_and_who_else_is_named() -> None:
    text = script({}, ["192.0.2.1"], ["10.9.0.0/16"])
    four = rules(text, "iptables")
    vxlan = "-A LLMDEPLOY-INPUT -p udp --dport 4789"
    found = [rule for rule in four if rule.startswith(vxlan)]
    assert found == [f"{vxlan} -s 10.9.0.0/16 -j RETURN", f"{vxlan} -j DROP"]
    assert four.index("-A LLMDEPLOY-INPUT -s 192.0.2.1 -j RETURN") < four.index(f"{vxlan} -j DROP")
    for protocol, port in (("tcp", 2377), ("tcp", 7946), ("udp", 7946)):
        for program in ("iptables", "ip6tables"):
            assert f"-A LLMDEPLOY-INPUT -p {protocol} --dport {port} -j DROP" in rules(text, program)
    assert "--ctorigdstport" not in text
    subprocess.run(["sh", "-n"], input=text, text=True, check=True, timeout=10)


def test_every_host_has_swarms_ports_closed_and_knows_all_others_also_those_to_come(
    site: Site, facts: dict[str, Facts]
) -> None:
    site = replace(site, variables={**site.variables, "llmdeploy_swarm": {"autolock": False, "allow_from": []}})
    todo = decide(site)  # nobody has joined yet
    assert set(todo["firewall"]) == {"a", "b", "c"}
    assert todo["plays"]["firewall"] == ["a", "b", "c"]
    before = todo["firewall"]["a"]
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        assert f"-s {address} -j RETURN" in before
    form(facts, "a", "b", "c")
    assert decide(site)["firewall"]["a"] == before, "the cluster tells the same addresses"
    nodes = facts["a"]["docker"]["cluster"]["nodes"]
    nodes[1]["address"] = "198.51.100.7"  # as the managers see it, behind a translation of addresses
    nodes.append({**nodes[2], "id": "n-x", "hostname": "x", "address": "10.0.0.9"})  # not of the inventory
    nodes.append({**nodes[2], "id": "n-y", "hostname": "y", "address": "0.0.0.0"})  # what a leader may say of itself
    text = decide(site)["firewall"]["c"]
    assert "-s 198.51.100.7 -j RETURN" in text
    assert "-s 10.0.0.9 -j RETURN" in text
    assert "0.0.0.0" not in text


def test_swarms_ports_that_are_for_everybody_and_this_machine_alone_are_left_as_they_are(site: Site) -> None:
    everybody = {"autolock": False, "allow_from": ["10.0.0.0/8", "0.0.0.0/0"]}
    assert decide(replace(site, variables={**site.variables, "llmdeploy_swarm": everybody}))["firewall"] == {}
    closed = {**site.variables, "llmdeploy_swarm": {"autolock": False, "allow_from": []}}
    here = replace(site, facts={"a": site.facts["a"]}, hosts={"a": site.hosts["a"]}, variables=closed)
    assert decide(here)["firewall"] == {}
    away = {"a": {**site.hosts["a"], "llmdeploy_ssh": ["ssh", "10.0.0.1"]}}
    assert set(decide(replace(here, hosts=away))["firewall"]) == {"a"}


def test_the_script_is_one() -> None:
    subprocess.run(["sh", "-n"], input=script(ALLOWED, ["192.0.2.1"]), text=True, check=True, timeout=10)
    assert script(ALLOWED, ["192.0.2.1"]) == script(dict(reversed(ALLOWED.items())), ["192.0.2.1"])


def test_a_host_gets_what_it_lacks_and_loses_what_nobody_wants(site: Site, facts: dict[str, Facts]) -> None:
    site.variables["llmdeploy_edge"]["hosts"] = ["a", "b"]
    assert decide(site)["firewall"] == {}
    site = replace(site, variables={**site.variables, "llmdeploy_allow": {"8082": ["10.0.0.0/8"]}})
    todo = decide(site)
    assert set(todo["firewall"]) == {"a", "b"}
    assert "a: restrict who may use its ports" in summary(todo)
    text = todo["firewall"]["a"]
    for host in "ab":
        facts[host]["firewall"] = {"sha256": sha(text), "intact": True}
    assert decide(site)["firewall"] == {}
    facts["b"]["firewall"] = {"sha256": sha(text), "intact": False}  # somebody has flushed the rules
    assert decide(site)["firewall"] == {"b": text}
    site = replace(site, variables={**site.variables, "llmdeploy_allow": {}})
    todo = decide(site)
    assert todo["firewall"] == {"a": "", "b": ""}
    assert "b: open its ports to everybody" in summary(todo)
