"""Asks services whether they answer. Standard library only, and usable alone:

the text of this file followed by a line `main('[{check}, …]')` may be piped into `python3 -` on any host.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
from concurrent.futures import as_completed
from concurrent.futures.thread import ThreadPoolExecutor
from typing import Any

PARALLEL = 8
PROBE_ON_HOST = "/opt/llmdeploy/bin/probe"
PROBE_IN_CONTAINER = "/llmdeploy/probe"
DOCKER_SOCKET = "/var/run/docker.sock"
EDGE_LABEL = "com.docker.swarm.service.name=edge"
MOST_BYTES = 1_000_000
_SERVING = bytes.fromhex("00000000020801")  # a gRPC message of two bytes: grpc.health.v1.HealthCheckResponse, status 1
_NOT_SERVING = bytes.fromhex("00000000020802")

Check = dict[str, Any]
Result = dict[str, Any]


class CheckError(Exception):
    """A check that did not hold; the text says what came instead."""


def run_check(check: Check, edge_host: str = "127.0.0.1") -> Result:
    """Ask once. In: a check (docs/architecture.md). Out: `{"name", "service", "ok", "ms", "detail"}`."""
    began = time.monotonic()
    try:
        detail, ok = _ask(check, check.get("host") or edge_host), True
    except (CheckError, OSError, http.client.HTTPException, ValueError, subprocess.SubprocessError) as problem:
        detail, ok = in_words(problem, check), False
    ms = round((time.monotonic() - began) * 1000, 1)
    return {"name": check["name"], "service": check.get("service", ""), "ok": ok, "ms": ms, "detail": detail}


def main(json_text: str) -> None:
    """Run all checks in parallel and print each result as a line when it is there."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        for future in as_completed([pool.submit(run_check, check) for check in json.loads(json_text)]):
            sys.stdout.write(json.dumps(future.result()) + "\n")
            sys.stdout.flush()


def _ask(check: Check, host: str) -> str:
    kind, timeout = check["kind"], float(check.get("timeout") or 5.0)
    if check.get("via") == "network":
        if kind == "request":
            raise CheckError("a request can only be sent through the edge")
        return _probe_inside(_probe_arguments(check, f"tasks.{check['service']}", timeout), timeout)
    if kind == "tls":
        return _certificate(check, host, timeout)
    if kind == "tcp":
        with connected(check, host, timeout):
            return "connected"
    if kind == "grpc":
        if check.get("tls"):
            return _grpc_through_tls(check, host, timeout)
        return _probe_here(_probe_arguments(check, host, timeout), timeout)
    return _http(check, host, timeout)


def connected(check: Check, host: str, timeout: float, *, name: str = "", protocol: str = "") -> socket.socket:
    """A connection to the check's port; through TLS where it says so, with a certificate that is good for `name`."""
    connection = socket.create_connection((host, check["port"]), timeout)
    tls = check.get("tls")
    if not tls:
        return connection
    context = ssl.create_default_context(cadata=tls["authority"] or None)
    if protocol:
        context.set_alpn_protocols([protocol])
    try:
        return context.wrap_socket(connection, server_hostname=name or tls["name"] or host)
    except BaseException:
        connection.close()
        raise


def _certificate(check: Check, host: str, timeout: float) -> str:
    """Ask for every name that clients use: each must be in a certificate that its authority stands behind."""
    until = {_expiry(check, host, name, timeout) for name in check["names"]}
    return f"good for {', '.join(check['names'])} until {' and '.join(sorted(until))}"


def _expiry(check: Check, host: str, name: str, timeout: float) -> str:
    try:
        with connected(check, host, timeout, name=name) as connection:
            known = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    except ssl.SSLCertVerificationError as problem:
        raise CheckError(f"{name}: {problem.verify_message}") from None
    return str((known or {}).get("notAfter", "?"))


def _grpc_through_tls(check: Check, host: str, timeout: float) -> str:
    """Send a health request as it stands in the check, and look for SERVING in what comes back."""
    deadline, received = time.monotonic() + timeout, b""
    with connected(check, host, timeout, protocol="h2") as connection:
        connection.sendall(bytes.fromhex(check["tls"]["frames"]))
        while _SERVING not in received:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            piece = connection.recv(65536)
            if not piece or _NOT_SERVING in received:
                raise CheckError("it does not say SERVING")
            received += piece
    return "SERVING"


def _http(check: Check, host: str, timeout: float) -> str:
    body, headers = check.get("body"), {"User-Agent": "llmdeploy", **(check.get("headers") or {})}
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(host, check["port"], timeout=timeout)
    try:
        connection.sock = connected(check, host, timeout)
        connection.request(check.get("method") or "GET", check.get("path") or "/", body and body.encode(), headers)
        response = connection.getresponse()
        text = response.read(MOST_BYTES).decode("utf-8", "replace")
    finally:
        connection.close()
    low, high = check.get("expect_status") or (200, 399)
    if not low <= response.status <= high:
        wish = f"{low}" if low == high else f"{low} to {high}"
        raise CheckError(f"HTTP {response.status} instead of {wish}" + (f": {short(text)}" if text else ""))
    _expect(check, text)
    return f"HTTP {response.status}"


def _expect(check: Check, text: str) -> None:
    if check.get("expect_text") and check["expect_text"] not in text:
        raise CheckError(f"the answer does not contain {check['expect_text']!r}: {short(text)}")
    if check.get("expect_json"):
        try:
            value = json.loads(text)
            for part in check["expect_json"].split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (ValueError, LookupError, TypeError):
            value = None
        if value in (None, "", [], {}):
            raise CheckError(f"the answer has no {check['expect_json']}: {short(text)}")


def _probe_arguments(check: Check, host: str, timeout: float) -> list[str]:
    words = [check["kind"], str(check["port"])]
    if check["kind"] == "http":
        low, high = check.get("expect_status") or (200, 399)
        words += [check.get("path") or "/", "--expect", f"{low}-{high}"]
    if check["kind"] == "grpc" and check.get("grpc_service"):
        words.append(check["grpc_service"])
    everyone = ["--all"] if host.startswith("tasks.") else []
    return [*words, "--host", host, "--timeout", f"{timeout:g}", *everyone]


def _probe_here(arguments: list[str], timeout: float) -> str:
    done = subprocess.run(
        [PROBE_ON_HOST, *arguments], capture_output=True, text=True, timeout=timeout + 2, check=False, errors="replace"
    )
    return _probe_says(done.returncode, done.stdout + done.stderr)


def _probe_inside(arguments: list[str], timeout: float) -> str:
    """Run the probe in this host's edge container: the only place of the host that is inside the network."""
    filters = json.dumps({"label": [EDGE_LABEL], "status": ["running"]}).replace(" ", "")
    found = json.loads(_docker("GET", f"/containers/json?filters={_quoted(filters)}", None, timeout))
    if not found:
        raise CheckError("no edge container runs on this host, so nothing here can look into the network")
    command = {"Cmd": [PROBE_IN_CONTAINER, *arguments], "AttachStdout": True, "AttachStderr": True, "Tty": True}
    started = json.loads(_docker("POST", f"/containers/{found[0]['Id']}/exec", command, timeout))
    said = _docker("POST", f"/exec/{started['Id']}/start", {"Tty": True}, timeout + 2).decode("utf-8", "replace")
    code = json.loads(_docker("GET", f"/exec/{started['Id']}/json", None, timeout))["ExitCode"]
    return _probe_says(code, said)


def _probe_says(code: int, said: str) -> str:
    if code:
        raise CheckError(short(said) or f"the probe ended with {code}")
    return short(said)


def _docker(method: str, path: str, body: Any, timeout: float) -> bytes:
    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(timeout)
        connection.sock.connect(DOCKER_SOCKET)
        text = json.dumps(body).encode() if body is not None else None
        connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status >= 400:
        raise CheckError(f"Docker: {short(answer.decode('utf-8', 'replace'))}")
    return answer


def _quoted(text: str) -> str:
    return "".join(char if char.isalnum() else "".join(f"%{byte:02X}" for byte in char.encode()) for char in text)


def in_words(problem: Exception, check: Check) -> str:
    """What went wrong with a check, for people."""
    if isinstance(problem, (TimeoutError, socket.timeout, subprocess.TimeoutExpired)):
        return f"no answer within {check.get('timeout') or 5.0:g} s"
    if isinstance(problem, ConnectionRefusedError):
        return f"connection to port {check['port']} refused"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"certificate: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return f"no TLS on port {check['port']}: {problem.reason or problem}"
    return str(problem) or type(problem).__name__


def short(text: str) -> str:
    """A text of a service in one line that is not too long."""
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    return line if len(line) <= 300 else line[:297] + "..."
