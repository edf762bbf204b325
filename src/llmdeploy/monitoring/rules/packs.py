"""Alerts for programs that many stacks have: vLLM, LiteLLM, NVIDIA's DCGM exporter. Silent where they are not."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group
from llmdeploy.monitoring.scope import Scope


def groups(_scope: Scope) -> list[Group]:
    """The alerts of all packs."""
    return [Group("vllm-alerts", _vllm()), Group("litellm-alerts", _litellm()), Group("gpu-alerts", _gpu())]


def _vllm() -> list[Alert]:
    return [
        Alert(
            "VllmCacheFull",
            'max by (service, model_name) (min_over_time(vllm:kv_cache_usage_perc{job="services"}[5m])) > 0.9',
            "10m",
            "ticket",
            "{{ $labels.service }}: the KV cache of {{ $labels.model_name }} is {{ $value | humanizePercentage }} full",
        ),
    ]


def _litellm() -> list[Alert]:
    team = "max by (service, team_alias) "
    return [
        Alert(
            "LitellmModelDown",
            'max by (service, litellm_model_name, api_provider) (litellm_deployment_state{job="services"}) == 2',
            "5m",
            "ticket",
            "{{ $labels.service }}: {{ $labels.litellm_model_name }} at {{ $labels.api_provider }} is out completely",
        ),
        Alert(
            "LitellmBudgetLow",
            f"""
            {team}(litellm_remaining_team_budget_metric{{job="services"}})
              / ({team}(litellm_team_max_budget_metric{{job="services"}}) > 0 < Inf) < 0.1""",
            "5m",
            "ticket",
            "{{ $labels.service }}: the team {{ $labels.team_alias }} has {{ $value | humanizePercentage }} "
            "of its budget left",
        ),
    ]


def _gpu() -> list[Alert]:
    card = "service, Hostname, gpu"
    return [
        Alert(
            "GpuErrors",
            f'max by ({card}) (changes(DCGM_FI_DEV_XID_ERRORS{{job="services"}}[15m])) > 0 '
            f'and on ({card}) max by ({card}) (DCGM_FI_DEV_XID_ERRORS{{job="services"}}) > 0',
            "",
            "ticket",
            "GPU {{ $labels.gpu }} of {{ $labels.Hostname }} reports an error (XID)",
        ),
        Alert(
            "GpuHot",
            f'max by ({card}) (min_over_time(DCGM_FI_DEV_GPU_TEMP{{job="services"}}[5m])) > 85',
            "10m",
            "ticket",
            "GPU {{ $labels.gpu }} of {{ $labels.Hostname }} has {{ $value }} °C",
        ),
    ]
