#!/usr/bin/python
"""Decide what there is to do. The work is done by the action of the same name; this is its documentation."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llmdeploy_decide
short_description: Decide what there is to do on all hosts
description:
  - Judges what M(llmdeploy_host) read on all hosts of the play, and decides what a deploy has to do. Runs here, once.
  - Fails when something is in the way, with all problems of all hosts in one message.
options: {}
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Decide what there is to do
  llmdeploy_decide:
  run_once: true
"""

RETURN = r"""
problems:
  description: What was found, each with C(host), C(check), C(level) (error or warning), C(message) and C(hint).
  returned: always
  type: list
ansible_facts:
  description: C(llmdeploy_todo), see C(llmdeploy.engine.host_todo.decide).
  returned: always
  type: dict
"""
