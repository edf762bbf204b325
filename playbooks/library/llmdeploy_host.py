#!/usr/bin/python
"""Read a host. The work is done by the action of the same name; this is its documentation."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llmdeploy_host
short_description: Read what a host is and has
description:
  - Reads everything that decisions need at once and changes nothing.
  - Needs Python on the host, but neither Docker nor its Python library.
options:
  ports:
    description: The ports to look for.
    type: list
    elements: int
  images:
    description: The image references to look for.
    type: list
    elements: str
  network:
    description: The network to look for, on a manager.
    type: str
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Look at the host
  llmdeploy_host:
    ports: [8000]
    images: ["llmdeploy/demo:3f2a"]
    network: llm-network
  register: preflight_look
"""

RETURN = r"""
facts:
  description: What was found, see C(llmdeploy.engine.host.read); C(skew) is how far the clock is ahead, in seconds.
  returned: success
  type: dict
"""
