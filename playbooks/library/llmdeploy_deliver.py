#!/usr/bin/python
"""Deliver images. The work is done by the action of the same name; this is its documentation."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llmdeploy_deliver
short_description: Give a host the images that it lacks
description:
  - Copies images of no registry from the host that has them, through this machine, as one stream without files.
  - Pulls the others by digest.
options:
  pins:
    description: What each reference is pinned to.
    type: dict
    required: true
  sources:
    description: The host that has an image, for each reference; the builder where none is named.
    type: dict
    required: true
  builder:
    description: The host that makes images.
    type: str
    required: true
  deadline:
    description: Seconds for each stream and each pull.
    type: int
    default: 1200
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Deliver the images that are missing
  llmdeploy_deliver:
    pins: {"llmdeploy/demo:3f2a": "sha256:0123"}
    sources: {}
    builder: head-server
"""

RETURN = r"""
copied:
  description: References that were copied.
  returned: always
  type: list
pulled:
  description: References that were pulled.
  returned: always
  type: list
seconds:
  description: How long it took.
  returned: always
  type: float
"""
