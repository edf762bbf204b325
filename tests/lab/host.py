"""One host of the lab: a container with sshd and, unless bare, its own Docker engine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from tests.lab import roots, seeds
from tests.lab.keys import Keys
from tests.lab.shell import Completed, LabError, docker, run

READY_DEADLINE = 60
# Every capability but SYS_RESOURCE: machines without it refuse `--privileged`.
CAPABILITIES = """
    AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID
    IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
    NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE
    SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
""".split()  # noqa: SIM905 - one name per line would fill a page
RUN_OPTIONS = (
    "--detach",
    "--init",
    *(f"--cap-add={name}" for name in CAPABILITIES),
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--device-cgroup-rule=a *:* rwm",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup",
    "--volume=/var/lib/docker",  # overlay2 cannot sit on overlay2
    "--volume=/var/lib/containerd",
    "--tmpfs=/run:exec,mode=755",  # as on a real host, no pid file or socket outlives a crash
    "--shm-size=256m",
    # The demo's gRPC ports: a connection that was given one of them kept an edge from starting (README, limits).
    "--sysctl=net.ipv4.ip_local_reserved_ports=50051,50055,50061,50062",
)
DOCKER_ANSWERS = "until curl -fs -o /dev/null --unix-socket /run/docker.sock http://docker/_ping; do sleep 0.1; done"
READY = f"""
until [ -s /run/sshd.pid ]; do sleep 0.1; done
[ -x /usr/sbin/dockerd ] || exit 0
{DOCKER_ANSWERS}
"""


@dataclass(frozen=True)
class Host:
    """A running (or killed, paused, cut off) host of a lab."""

    name: str
    ip: str
    lab: str
    bare: bool
    trixie: bool
    keys: Keys = field(repr=False)

    @property
    def container(self) -> str:
        """Return the name of the host's container."""
        return f"llmlab-{self.lab}-{self.name}"

    @property
    def network(self) -> str:
        """Return the name of the network that the lab's hosts share."""
        return f"llmlab-{self.lab}"

    # --- Commands on the host

    def ssh(
        self,
        command: str,
        *,
        user: str = "root",
        check: bool = True,
        input: str | None = None,  # noqa: A002
    ) -> Completed:
        """Run a shell command over SSH, with strict host key checking."""
        return run([*self.ssh_command(user), command], check=check, input=input)

    def ssh_command(self, user: str = "root") -> list[str]:
        """Return the SSH command line up to the address, for a caller's own use."""
        return ["ssh", *self.keys.ssh_options(), f"{user}@{self.ip}"]

    def exec(self, command: str, *, check: bool = True) -> Completed:
        """Run a shell command as root beside SSH: it works with the network cut, too."""
        return docker("exec", self.container, "sh", "-c", command, check=check)

    def docker(self, arguments: str | Sequence[str], *, check: bool = True) -> Completed:
        """Run `docker` against the host's own engine: `host.docker("service ls")`."""
        words = shlex.split(arguments) if isinstance(arguments, str) else arguments
        return docker("exec", self.container, "docker", *words, check=check)

    def load(self, *images: str) -> None:
        """Give the host's engine images of this machine's."""
        if seeds.is_worth_it(self, images):
            seeds.plant(self, images)
        else:
            self.stream(images)

    def stream(self, images: Sequence[str]) -> None:
        """Copy images of this machine's engine into the host's; one stream shares their layers."""
        with Popen(["docker", "save", *images], stdout=-1) as save:
            run(["docker", "exec", "-i", self.container, "docker", "load"], stdin=save.stdout)
        if save.returncode != 0:
            raise LabError(f"docker save {' '.join(images)} failed")

    # --- Life and faults

    def create(self) -> None:
        """Run the container and return without waiting for it."""
        image = roots.ensure(roots.choose(bare=self.bare, trixie=self.trixie))
        modules = Path("/lib/modules")
        docker(
            "run",
            *RUN_OPTIONS,
            *([f"--volume={modules}:{modules}:ro"] if modules.is_dir() else []),
            *("--name", self.container, "--hostname", self.name, "--label", f"llmlab={self.lab}"),
            *("--network", self.network, "--ip", self.ip, "--env", f"LAB_KEY={self.keys.public}"),
            image,
            "/usr/local/sbin/lab-boot",
        )

    def wait(self) -> None:
        """Wait until sshd and, where Docker is installed, the engine answer."""
        ready = docker(*("exec", self.container, "timeout", str(READY_DEADLINE), "sh", "-c", READY), check=False)
        if ready.returncode != 0:
            log = self.exec("tail -n 15 /var/log/docker.log", check=False).stdout or ready.stderr
            raise LabError(f"{self.container} is not ready after {READY_DEADLINE} s:\n{log}")

    def host_key(self) -> str:
        """Return the host's public key as sshd offers it."""
        words = self.exec("cat /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()
        return " ".join(words[:2])

    def kill(self) -> None:
        """Take the host's power away."""
        docker("kill", self.container)

    def start(self) -> None:
        """Give the power back and wait until the host answers; its disk and keys are as they were."""
        docker("start", self.container)
        self.wait()

    def crash_docker(self) -> None:
        """Kill Docker's daemon and start it again; what it leaves behind on the way is as after any crash."""
        self.exec("kill -9 $(pidof dockerd); sleep 1; rm -f /var/run/docker.pid")
        self.start_docker()

    def stop_docker(self) -> None:
        """End Docker's daemon in good order."""
        self.exec("kill $(pidof dockerd); while pidof dockerd >/dev/null; do sleep 0.05; done")

    def start_docker(self) -> None:
        """Start Docker's daemon and wait until it answers."""
        self.exec("service docker start || (setsid dockerd </dev/null >/dev/null 2>&1 &)")
        self.exec(f"timeout {READY_DEADLINE} sh -c '{DOCKER_ANSWERS}'")

    def pause(self) -> None:
        """Freeze every process of the host."""
        docker("pause", self.container)

    def unpause(self) -> None:
        """Let a frozen host go on."""
        docker("unpause", self.container)

    def disconnect(self) -> None:
        """Pull the network cable."""
        docker("network", "disconnect", self.network, self.container)

    def connect(self) -> None:
        """Plug the network cable in again, with the same address."""
        docker("network", "connect", "--ip", self.ip, self.network, self.container)
