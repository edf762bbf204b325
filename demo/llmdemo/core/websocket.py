"""The server side of RFC 6455, as much as a page needs that only listens: text out; ping, pong and close in."""

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from io import BufferedIOBase
from urllib.parse import urlsplit

from .errors import ApiError
from .web import Request, Upgrade

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ECHO = {PING: PONG, CLOSE: CLOSE}
FRAME_LIMIT = 4096
IDLE_SECONDS = 30.0  # a browser answers our pings well within this


def frame(kind: int, payload: bytes) -> bytes:
    """Encode one unmasked, complete frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | kind, size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | kind, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | kind, 127, size)
    return head + payload


def read_frame(source: BufferedIOBase) -> tuple[int, bytes]:
    """Decode one frame of a client: its kind and its unmasked payload. EOFError at the end of the stream."""

    def take(size: int) -> bytes:
        data = source.read(size)
        if len(data) < size:
            raise EOFError
        return data

    first, second = take(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", take(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", take(8))
    if not second & 0x80 or first & 0x70:
        raise ValueError(1002)  # a client must mask, and there are no extensions
    if size > FRAME_LIMIT:
        raise ValueError(1009)
    mask = take(4)
    return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(take(size)))


def upgrade(request: Request, messages: Iterator[str]) -> Upgrade:
    """Accept a WebSocket and send it MESSAGES until either side ends; '' sends a ping instead."""
    _check(request.headers)
    digest = hashlib.sha1(request.headers["Sec-WebSocket-Key"].encode() + MAGIC, usedforsecurity=False).digest()
    token = base64.b64encode(digest).decode()
    accept = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": token}
    return Upgrade(accept, lambda source, sink: _talk(source, sink, messages))


def _check(headers: Message) -> None:
    key, origin = headers.get("Sec-WebSocket-Key", ""), headers.get("Origin")
    if headers.get("Upgrade", "").lower() != "websocket" or not key:
        raise ApiError(426, "This address speaks WebSocket.", "upgrade_required", {"Upgrade": "websocket"})
    if headers.get("Sec-WebSocket-Version") != "13":
        raise ApiError(426, "Only version 13.", "upgrade_required", {"Sec-WebSocket-Version": "13"})
    if origin and urlsplit(origin).netloc != headers.get("Host"):
        raise ApiError(403, "Another site's page may not listen here.", "forbidden")


class _Line:
    """One open WebSocket: frames may be sent from two threads."""

    def __init__(self, source: BufferedIOBase, sink: socket.socket) -> None:
        self._source, self._sink, self._lock = source, sink, threading.Lock()
        self.ended = threading.Event()

    def send(self, kind: int, payload: bytes) -> None:
        with self._lock:
            self._sink.sendall(frame(kind, payload))

    def listen(self) -> None:
        try:
            self._listen()
        except ValueError as error:
            with suppress(OSError):
                self.send(CLOSE, struct.pack("!H", error.args[0]))
        except (OSError, EOFError):
            pass  # the browser is gone; nobody is left to tell
        self.ended.set()

    def _listen(self) -> None:
        kind = TEXT
        while kind != CLOSE:
            kind, payload = read_frame(self._source)
            if kind in ECHO:
                self.send(ECHO[kind], payload)


def _talk(source: BufferedIOBase, sink: socket.socket, messages: Iterator[str]) -> None:
    sink.settimeout(IDLE_SECONDS)
    line = _Line(source, sink)
    threading.Thread(target=line.listen, daemon=True).start()
    for message in messages:
        if line.ended.is_set():
            return
        line.send(TEXT if message else PING, message.encode())
    line.send(CLOSE, struct.pack("!H", 1001))  # going away
    line.ended.wait(1)
