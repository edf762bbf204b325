"""A constant-rate load generator: HTTP, gRPC, gRPC streams and SSE streams, in one asyncio process."""
