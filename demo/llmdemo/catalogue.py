"""The ten roles: their ports and whom they need."""

from dataclasses import dataclass

from .core.settings import Env


@dataclass(frozen=True)
class Role:
    """One service of the stack."""

    name: str
    http: int
    rpc: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module that plays this role."""
        return self.name.replace("-", "_")


ROLES = {
    role.name: role
    for role in (
        Role("secrets-service", 8085),
        Role("rate-limiter", 9102, (50051,)),
        Role("billing", 8082),
        Role("model-proxy", 8100, (50061, 50062)),
        Role("auth-service", 8081, needs=("secrets-service",)),
        Role("head-go", 9001, (50055,), ("model-proxy",)),
        Role("gateway", 8083, needs=("head-go", "auth-service", "rate-limiter", "billing")),
        Role("tail-go", 8000, needs=("gateway",)),
        Role("admin-dashboard", 3001, needs=("tail-go", "billing")),
        Role("user-dashboard", 3000, needs=("tail-go",)),
    )
}


def _variable(name: str) -> str:
    return name.replace("-", "_").upper()


def http_url(env: Env, name: str) -> str:
    """Where NAME answers HTTP: GATEWAY_URL and so on, or the service's name in DNS."""
    return env.text(f"{_variable(name)}_URL", f"http://{name}:{ROLES[name].http}").rstrip("/")


def rpc_target(env: Env, name: str, port: int = 0) -> str:
    """Where NAME answers gRPC: HEAD_GO_GRPC and so on, or the service's name in DNS."""
    variable = f"{_variable(name)}_{'INFO_GRPC' if port else 'GRPC'}"
    target = env.text(variable, f"{name}:{ROLES[name].rpc[port]}")
    return target if "://" in target else f"dns:///{target}"
