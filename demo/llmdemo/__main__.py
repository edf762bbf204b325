"""Start: choose the role, misbehave if asked to, serve, and stop without losing a request."""

import os
import signal
import sys
import threading
import time
from importlib import import_module

from .catalogue import ROLES, Role
from .common import common_routes
from .core.app import App, Parts
from .core.errors import SettingsError
from .core.journal import Journal
from .core.settings import Env
from .core.web_server import WebServer

STOP = {signal.SIGTERM, signal.SIGINT}
NOTICE_SECONDS = 2.0  # keep answering while balancers see that health has turned: the edge asks twice, a second apart
DRAIN_SECONDS = 8.0  # Docker kills after `stop_grace`, 10 seconds where nobody says otherwise


def choose(env: Env, arguments: list[str]) -> Role:
    """Find the role in LLMDEPLOY_SERVICE or in the first argument."""
    name = env.text("LLMDEPLOY_SERVICE") or (arguments[0] if arguments else "")
    if name not in ROLES:
        raise SettingsError(f"LLMDEPLOY_SERVICE={name}: not one of {', '.join(ROLES)}")
    return ROLES[name]


def main() -> int:
    """Run one role until it is told to stop; give the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # every thread inherits this; sigwait below takes the signal
    env = Env(os.environ)
    try:
        role = choose(env, sys.argv[1:])
        app = App(role.name, env)
        if app.faults.crash:
            app.journal.error("DEMO_CRASH=1: refusing to start, as asked")
            return 3
        if app.faults.slow_start and signal.sigtimedwait(STOP, app.faults.slow_start):
            return 0
        return serve(app, role)
    except SettingsError as error:
        Journal(env.text("LLMDEPLOY_SERVICE", "llmdemo")).error(f"settings: {error}")
        return 2
    except OSError as error:
        Journal(env.text("LLMDEPLOY_SERVICE", "llmdemo")).error(f"cannot listen: {error}")
        return 1


def serve(app: App, role: Role) -> int:
    """Open the ports, wait for a signal, drain."""
    parts: Parts = import_module(f".{role.module}", __package__).build(app)
    port = app.env.port("HTTP_PORT", role.http)
    web = WebServer(app, port, common_routes(app, role) | dict(parts.routes))
    rpc_ports = [app.env.port(name, at) for name, at in zip(("GRPC_PORT", "GRPC_INFO_PORT"), role.rpc, strict=False)]
    rpc = []
    if rpc_ports:
        from .core.rpc_server import RpcServer  # noqa: PLC0415 (half of the roles start faster without gRPC)

        rpc = [RpcServer(app, at, services) for at, services in zip(rpc_ports, parts.rpc, strict=True)]
    for server in rpc:
        server.start()
    threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
    app.faults.arm(app.journal)
    app.journal.info("listening", http=port, grpc=rpc_ports, version=app.version, demo=True)

    signal.sigwait(STOP)
    app.stopping.set()
    end = time.monotonic() + DRAIN_SECONDS
    app.journal.info("stopping", open_requests=app.open_requests)
    time.sleep(app.env.number("DEMO_NOTICE", NOTICE_SECONDS))
    # At once: clients stay connected and go on sending, so that a moment without an open call may never come.
    closing = [server.stop(end - time.monotonic()) for server in rpc]
    idle = app.wait_idle(end - time.monotonic())
    for ended in closing:
        ended.wait(max(0.0, end - time.monotonic()))
    parts.close(end - time.monotonic())
    web.shutdown()
    app.journal.info("stopped", drained=idle, open_requests=app.open_requests)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # no thread may keep a stopped service alive
