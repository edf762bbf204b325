"""Configuration: models, layers with provenance, inventory, and every problem with its place."""
