"""A demo: one small program that plays any of the ten services of an LLM stack.

It exists so that a stack can be deployed, updated, broken and rolled back where no product image is at hand.
The request path is real (HTTP, gRPC, streaming, keys, limits, billing); the language model is a toy.
"""
