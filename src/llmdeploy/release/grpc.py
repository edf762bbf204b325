"""A gRPC health request as bytes, for those who can only send bytes: the edge's checks, and ours through TLS. Pure."""

from __future__ import annotations

# HTTP/2 frames of grpc.health.v1.Health/Check on stream 1, for a proxy that can only send bytes: connection preface,
# SETTINGS, its acknowledgement, and HEADERS (HPACK without the dynamic table; RFC 9113, RFC 7541).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".hex() + "000000040000000000" + "000000040100000000"
_HEADERS = (
    "000043010400000001"
    "8386441c2f677270632e6865616c74682e76312e4865616c74682f436865636b410268635f10"
    "6170706c69636174696f6e2f677270634002746508747261696c657273"
)


def grpc_health_frames(service: str) -> str:
    """Hex of a complete gRPC health request for `service` (empty: the whole server)."""
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    data = b"\x00" + len(message).to_bytes(4, "big") + message
    frame = len(data).to_bytes(3, "big") + b"\x00\x01" + (1).to_bytes(4, "big") + data
    return _PREFACE + _HEADERS + frame.hex()
