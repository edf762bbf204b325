"""The rules that restrict published ports."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

from llmdeploy.engine.firewall import script, sha
from llmdeploy.engine.host_todo import Site, decide, summary

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


def test_the_script_is_one() -> None:
    subprocess.run(["sh", "-n"], input=script(ALLOWED, ["192.0.2.1"]), text=True, check=True, timeout=10)
    assert script(ALLOWED, ["192.0.2.1"]) == script(dict(reversed(ALLOWED.items())), ["192.0.2.1"])


def test_a_host_gets_what_it_lacks_and_loses_what_nobody_wants(site: Site, facts: dict[str, dict[str, object]]) -> None:
    site.variables["llmdeploy_edge"]["hosts"] = ["a", "b"]
    assert decide(site)["firewall"] == {}
    site = replace(site, variables={**site.variables, "llmdeploy_allow": {"8082": ["10.0.0.0/8"]}})
    todo = decide(site)
    assert set(todo["firewall"]) == {"a", "b"}
    assert "a: restrict who may use published ports" in summary(todo)
    text = todo["firewall"]["a"]
    for host in "ab":
        facts[host]["firewall"] = {"sha256": sha(text), "intact": True}
    assert decide(site)["firewall"] == {}
    facts["b"]["firewall"] = {"sha256": sha(text), "intact": False}  # somebody has flushed the rules
    assert decide(site)["firewall"] == {"b": text}
    site = replace(site, variables={**site.variables, "llmdeploy_allow": {}})
    todo = decide(site)
    assert todo["firewall"] == {"a": "", "b": ""}
    assert "b: open published ports to everybody" in summary(todo)
