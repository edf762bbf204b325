"""Inputs that somebody wrote to do harm, or that are broken: each with where it stands and how the command may end.

`RUN` in a text stands for a shell command that leaves a witness.
"""

# ruff: noqa: E501 (tables)
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

RUN = "@RUN@"
ENVIRONMENT, CATALOGUE = "environments/dev.yml", "inventory/group_vars/all.yml"
INI, YML, VAULT = "inventory/dev.ini", "inventory/dev.yml", "environments/dev.secrets.yml"
KNOWN = "environments/dev.known_hosts"
REFUSED = frozenset({2, 3})
FINE = frozenset({0, 2, 3})  # it may be a harmless text


class Case(NamedTuple):
    """`content` goes into `file` (nowhere for an empty one), `words` are what is typed; `codes` are allowed."""

    name: str
    words: tuple[str, ...]
    file: str = ""
    content: str | bytes = ""
    codes: frozenset[int] = REFUSED


# --- names on the command line

NAMES = [
    "../../etc", "../dev", "..", ".", "/etc/passwd", "dev/../dev", "./dev", "dev/", "~", "~root", "-x", "--", "-",
    "a b", "a;b", f"a;{RUN}", f"$({RUN})", f"`{RUN}`", f"a|{RUN}", f"a&{RUN}", f"a\n{RUN}", "a\tb", "a\rb", "DEV", "Dev",
    "dév", "dev\u200b", "\u202edev", "\x1b[31mdev", "\x1b]0;title\x07dev", "\x07", "dev\x00", "{{ 7*7 }}",
    "{{ lookup('pipe','@RUN@') }}", "{% raw %}", "%s%s%s%n", "${HOME}", "a" * 300, "a" * 100_000, "dev.yml", "dev.ini",
    "*", "?", "[a]", "group_vars", "all", "'", '"', "\\", "null", "true", "1e999", "\u0000", "\U0001d589ev", "\U0001f4a5",
]  # fmt: skip


def names() -> Iterator[Case]:
    """An environment that is none, and a service that is none."""
    for name in NAMES:
        yield Case(f"environment {name[:40]!a}", (name, "validate"))
    for name in NAMES:
        yield Case(f"config of {name[:40]!a}", ("dev", "config", name), codes=FINE)


# --- settings on the command line

SETTINGS = [
    "", "=", "=1", "a", "a=", "services", "services=1", "services.web", "services..web=1", ".=1", "..=..",
    "services.web.cpus=-1", "services.web.cpus=nan", "services.web.cpus=.inf", "services.web.cpus=1e400",
    "services.web.memory=9999999999999TB", "services.web.replicas=1e9", "services.web.replicas=0x10",
    "services.web.replicas=" + "9" * 500, "services.web.image=a b", f"services.web.image=$({RUN})",
    f"services.web.image=`{RUN}`", "services.web.image=-v", "services.web.image=../../x", "services.web.build=/etc",
    "services.web.build=../../..", "services.web.build={context: ., dockerfile: /etc/passwd}",
    "services.web.volumes=[../../etc:/x]", "services.web.volumes=['/a:/b:/c:/d']", "services.web.health.path=a\nb",
    "services.web.ports=[{number: 0}]", "services.web.ports=[{number: 99999999999999999999}]",
    "services.web.depends_on=[web]", "services.web={{", "services.web=!!python/object/apply:os.system [@RUN@]",
    "services.web=&a [*a]", "services.web=" + "[" * 2000, "services.web=" + "{a: " * 500,
    f"services.{'a' * 70}.group=app", "services.-x.group=app", "services.$(x).group=app", "__class__.__init__=1",
    "services.web.__class__=1", "stack=../x", f"stack=$({RUN})", "stack=a\nb", "network.name=-x", "network.subnet=0/0",
    "edge.groups=['../x']", "edge.slots=99999", "defaults.memory=-1", "confirm=maybe", "deadline=-5",
    "images.archives=[/etc/passwd]", "images.archives=['../../../etc/passwd']", "secrets.A=1", "secrets.x.kind=root",
    "secrets.x.command=@RUN@",
]  # fmt: skip


def settings() -> Iterator[Case]:
    """What `--set` is given."""
    for text in SETTINGS:
        yield Case(f"--set {text[:40]!a}", ("dev", "validate", "--set", text))


# --- files

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
WHOLE: list[str | bytes] = [
    BOMB, "a: &a\n  b: *a\n", "<<: {a: 1}\n", "a: [" * 5000, "{" * 5000, "- " * 5000, "a: {b: " * 3000, "a" * 2_000_000,
    "a: 'unclosed", 'a: "\\x', "a: |\n\tb", "\t", "%YAML 9.9\n---\na: 1\n", "%TAG ! tag:evil,2000:\n---\na: !x 1\n",
    "---\na: 1\n---\nb: 2\n", "...\n...\n", "? [a, b]\n: 1\n", "? {a: 1}\n: 2\n", "1: 2\n", "~: 1\n", "a: 1\na: 2\n",
    "!!python/object/apply:os.system ['@RUN@']\n", "!!python/object/new:subprocess.Popen [['sh', '-c', '@RUN@']]\n",
    "a: !!python/name:os.system\n", "a: !!python/module:os\n", "!!map [1]\n", "!<tag:yaml.org,2002:python/none> a\n",
    "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n", "a: !unsafe '{{ 1 }}'\n", "a: !!binary ////\n",
    b"\xff\xfe\x00a", b"\x00", b"a: \x00", b"\xef\xbb\xbfa: 1\n", b"a: \xc3\x28\n", b"\x80\x81", b"\x1b[2J\x1b[31mred: 1\n",
    "a: \x1b[31mred\n", "a: \x9b31m\n", "\u2028a: 1\n", "a\u0085b: 1\n", "[]", "1", "text", "!!set {a}\n", "{a}\n", "*a\n",
    "services: null\n", "services: 1\n", "services: {web: 1}\n", "services: {'': {}}\n", "services: {'../x': {group: app}}\n",
    "services: {'-x': {group: app, image: a}}\n", "services: {'a b': {group: app, image: a}}\n",
    "services: {'$(@RUN@)': {group: app, image: a}}\n", "services: {'{{ 1 }}': {group: app, image: a}}\n",
    "services: {\"a\\nb\": {group: app, image: a}}\n", "services: {\"\\e[31m\": {group: app, image: a}}\n",
    "services: {edge: {group: app}}\n", "services: {web: {environment: {'A;B': 1}}}\n",
    "services: {web: {environment: {'$(x)': 1}}}\n", "services: {web: {environment: {A: [1]}}}\n",
    "services: {web: {group: '../x'}}\n", "services: {web: {group: '$(@RUN@)'}}\n", "services: {web: {image: ''}}\n",
    "services: {web: {command: 'sh -c x'}}\n", "services: {web: {user: [0]}}\n",
    "services: {web: {volumes: ['/:/']}}\n", "services: {web: {volumes: ['../x:/y']}}\n",
    "services: {web: {volumes: ['/var/run/docker.sock:/llmdeploy/x']}}\n", "services: {web: {capabilities: ['ALL;x']}}\n",
    "services: {web: {capabilities: [net_admin]}}\n", "services: {web: {tmpfs: ['x']}}\n", "services: {web: {pids: -1}}\n",
    "services: {web: {secrets: ['../x']}}\n", "services: {web: {secrets: [nobody]}}\n",
    "secrets: {x: {}}\nservices: {web: {secrets: [{name: x, file: ../../etc/passwd}]}}\n",
    "secrets: {x: {}}\nservices: {web: {secrets: [{name: x, mode: '4777'}]}}\n",
    "secrets: {x: {command: '@RUN@'}}\n", "secrets: {x: {variable: 'A=B'}}\n", "secrets: {'../x': {}}\n",
    "secrets: {x: {length: 99999999}}\n", "secrets: {x: {command: [], variable: A}}\n", "secrets: {x: hunter2}\n",
    "ansible_ssh_common_args: -o ProxyCommand=x\n", "edge: {image: 'a b'}\n", "edge: {command: x}\n",
    "verify: {requests: [{name: a, service: web, port: 1, path: 'x y'}]}\n",
    "verify: {requests: [{name: a, service: web, port: 18999, method: 'GET /x'}]}\n",
]  # fmt: skip


def files() -> Iterator[Case]:
    """What stands in an environment's file, and in the catalogue."""
    for content in WHOLE:
        yield Case(f"environment file {content[:40]!a}", ("dev", "validate"), ENVIRONMENT, content)
    for content in WHOLE[:40]:
        yield Case(f"catalogue {content[:40]!a}", ("dev", "validate"), CATALOGUE, content)


# --- texts that may be anything, and stay what they are

TEXTS = [
    "{{ 7*7 }}", "{{ lookup('pipe','@RUN@') }}", "{% for x in [] %}", "$(@RUN@)", "`@RUN@`", "'; @RUN@ #", '"; @RUN@ #', "a\nb",
    "%n%n", "\\", "<script>", "\u202e", "\\0", "${HOME}", "!vault x", "*", "-rf /", "a=b=c", "#", "\U0001f4a5", " ", "~",
]  # fmt: skip


def texts() -> Iterator[Case]:
    """The value of a variable of a service: shown as it is, and nothing happens."""
    for text in TEXTS:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        content = f'services: {{web: {{environment: {{A: "{quoted}"}}}}}}\n'
        yield Case(f"text {text!a}", ("dev", "config", "services.web.environment"), ENVIRONMENT, content, FINE)


# --- inventories

HOSTS = [
    "ansible_ssh_common_args='-o ProxyCommand=@RUN@'", "ansible_ssh_common_args='-oProxyCommand=@RUN@'",
    "ansible_ssh_common_args='-o proxycommand @RUN@'", "ansible_ssh_args='-o LocalCommand=@RUN@ -o PermitLocalCommand=yes'",
    "ansible_ssh_extra_args='-o KnownHostsCommand=@RUN@'", "ansible_ssh_extra_args='-F /tmp/evil'",
    "ansible_ssh_extra_args='-F/tmp/evil'", "ansible_ssh_common_args='-I /tmp/evil.so'",
    "ansible_ssh_common_args='-o PKCS11Provider=/tmp/evil.so'", "ansible_ssh_common_args='-o Include=/tmp/evil'",
    "ansible_sftp_extra_args='-o ProxyCommand=@RUN@'", "ansible_ssh_common_args='\"unclosed'", "ansible_ssh_executable=/tmp/evil",
    "ansible_sftp_executable=/tmp/evil", "ansible_scp_executable=/tmp/evil", "ansible_host=-oProxyCommand=@RUN@",
    "ansible_host='a b'", "ansible_host='a\x1b[31m'", "ansible_user=-oProxyCommand=x", "ansible_user='a;b'",
    "ansible_user='$(@RUN@)'", "ansible_become_user='root; @RUN@'", "ansible_port=22;x", "ansible_port=-1", "ansible_port=1e9",
    "ansible_connection=docker", "ansible_connection=community.general.chroot", "ansible_connection='ssh; @RUN@'",
    "ansible_python_interpreter='/usr/bin/python3; @RUN@ #'", "ansible_python_interpreter='/bin/sh -c \"@RUN@\"'",
    "ansible_python_interpreter='$(@RUN@)'", "ansible_become_exe='sudo; @RUN@'", "ansible_become_flags='-n; @RUN@'",
    "ansible_shell_executable='/bin/sh; @RUN@'", "ansible_host=\"{{ lookup('pipe','@RUN@') }}\"",
    "ansible_user=\"{{ lookup('ansible.builtin.pipe','@RUN@') }}\"", "ansible_host=\"{{ query('pipe','@RUN@') }}\"",
    "ansible_host=\"{{ q('pipe','@RUN@') }}\"", "ansible_host=\"{{ lookup('lines','@RUN@') }}\"",
    "ansible_host=\"{{ lookup('url','http://192.0.2.1/') }}\"", "ansible_host=\"{{ lookup('file','/etc/shadow') }}\"",
    "ansible_host=\"{{ lookup('env','HOME', lookup('pipe','@RUN@')) }}\"", "llmdeploy_x=\"{{ lookup('pipe','@RUN@') }}\"",
    "ansible_host=\"{% set l = lookup %}{{ l('pipe','@RUN@') }}\"", "ansible_host=\"{{ [lookup][0]('pipe','@RUN@') }}\"",
    "ansible_host=\"{{ ().__class__.__bases__[0].__subclasses__() }}\"", "ansible_host=\"{{ undefined_thing }}\"",
    "ansible_host=\"{{ 1/0 }}\"", "ansible_host=\"{{ '", "ansible_host=\"{% endfor %}\"",
]  # fmt: skip
INVENTORIES: list[str | bytes] = [
    "", "[", "[]", "[app", "[app:vars]\nx\n", "[app:children]\napp\n", "[a:children]\nb\n[b:children]\na\n", "[app]\nh[1:999999999]\n",
    "[app]\nh[1:9:0]\n", "[app]\nh[a\n", "[app]\n../../x\n", "[app]\n-oProxyCommand=x\n", "[app]\n$(@RUN@)\n", "[app]\na;b\n",
    "[app]\n\x1b[31mh\n", "[app]\nh x='\n", "[app:lies]\nh\n", "plugin: amazon.aws.aws_ec2\n", "#!/bin/sh\n@RUN@\n", "#!/bin/sh",
    b"\xff\xfe", b"[app]\nh\x00\n", "[app]\n" + "h" * 2_000_000, "[../x]\nh\n", "[$(@RUN@)]\nh\n", "[all:vars]\nansible_ssh_args=-F/x\n[app]\nh\n",
    "[app]\nh\n[app:vars]\nansible_ssh_common_args=-o ProxyCommand=@RUN@\n",
]  # fmt: skip
YAMLS = [
    "plugin: community.docker.docker_swarm\n", "all: !!python/object/apply:os.system ['@RUN@']\n", "all: [h]\n", "all: {hosts: [h]}\n",
    "all: {hosts: {h: [1]}}\n", "all: {hosst: {h: {}}}\n", BOMB, "all: {hosts: {'../x': {}}}\n", "all: {hosts: {'$(@RUN@)': {}}}\n",
    "all: {hosts: {h: {ansible_ssh_common_args: '-o ProxyCommand=@RUN@'}}}\n",
    "all: {vars: {ansible_ssh_executable: /tmp/evil}, hosts: {h: {}}}\n",
    "all: {hosts: {h: {ansible_host: \"{{ lookup('pipe','@RUN@') }}\"}}}\n",
    "all: {vars: {ansible_user: \"{{ query('pipe','@RUN@') }}\"}, hosts: {h: {}}}\n",
    "all: {hosts: {h: {ansible_become_password: !vault '$ANSIBLE_VAULT;1.1;AES256'}}}\n",
]  # fmt: skip


def inventories() -> Iterator[Case]:
    """Variables of a host, whole inventories, and files beside one."""
    for variables in HOSTS:
        yield Case(f"host {variables[:60]!a}", ("dev", "validate"), INI, f"[app]\nh {variables}\n")
    for content in INVENTORIES:
        yield Case(f"inventory {content[:40]!a}", ("dev", "validate"), INI, content)
    for content in YAMLS:
        yield Case(f"yaml inventory {content[:60]!a}", ("dev", "validate"), YML, content)
    smuggled = "ansible_ssh_common_args: -o ProxyCommand=@RUN@\n"
    for file in ("inventory/group_vars/app.yml", "inventory/host_vars/localhost.yml", "inventory/group_vars/all/x.yml"):
        yield Case(f"smuggled in {file}", ("dev", "validate"), file, smuggled, FINE if "all/" in file else REFUSED)


# --- the encrypted file

ENVELOPE = "$ANSIBLE_VAULT;1.1;AES256\n"
TAMPERED: list[str | bytes] = [
    "", " ", "db_password: hunter2\n", ENVELOPE, f"{ENVELOPE}zz\n", f"{ENVELOPE}{'00' * 200}\n", f"{ENVELOPE}{'41' * 2_000}\n",
    "$ANSIBLE_VAULT;9.9;ROT13\n00\n", "$ANSIBLE_VAULT\n", "$ANSIBLE_VAULT;1.2;AES256;../../x\n00\n", "$ANSIBLE_VAULT;1.1;AES256" + ";" * 5_000,
    b"$ANSIBLE_VAULT;1.1;AES256\n\xff\xfe\x00", "<<<<<<< HEAD\n$ANSIBLE_VAULT;1.1;AES256\n", "!!python/object/apply:os.system ['@RUN@']\n",
    f"{ENVELOPE}\x1b[31m\n", b"\x00" * 1000,
]  # fmt: skip


def vaults() -> Iterator[Case]:
    """What stands in the secrets file."""
    for content in TAMPERED:
        yield Case(f"secrets file {content[:40]!a}", ("dev", "secrets", "list"), VAULT, content)


CASES = [case for table in (names, settings, files, texts, inventories, vaults) for case in table()]
