"""What a release has to prove beyond health: real requests, and what its metrics say."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from llmdeploy.config.fields import Count, Model, Name, PortNumber, Seconds

_NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
_SIDE = rf"(?:{_NUMBER}|before(?: \* {_NUMBER})?(?: \+ {_NUMBER})?)"
_WORDS = re.compile(r"<=|>=|==|!=|[<>*+]|[^\s<>=!*+]+|\S")
_COMPARISON = rf"(?:<=|>=|==|!=|<|>) {_SIDE}"
_SUCCESS = re.compile(rf"{_COMPARISON}(?: (?:and|or) {_COMPARISON})*")


def _as_success(text: str) -> str:
    words = " ".join(_WORDS.findall(text))
    if not _SUCCESS.fullmatch(words):
        raise ValueError('not a condition; write such as ">= 0.99", or "<= 0.05 or <= before * 1.5"')
    return words


class Request(Model):
    """A real request through the edge that must succeed for the stack to count as working."""

    name: str = Field(description="name of the check")
    service: Name = Field(description="service that is asked")
    port: PortNumber = Field(description="the service's own port number; it must be published")
    method: Literal["GET", "POST", "PUT", "HEAD", "DELETE"] = Field(default="GET", description="HTTP method")
    path: str = Field(default="/", pattern=r"^/\S*$", description="path and query")
    headers: dict[str, str] = Field(default={}, description="request headers")
    body: str | None = Field(default=None, description="request body")
    expect_status: Count = Field(default=200, ge=100, le=599, description="status the answer must have")
    expect_json: str | None = Field(default=None, description="dotted path that must be in the answer and not empty")
    expect_text: str | None = Field(default=None, description="text that must be in the answer")
    timeout: Seconds = Field(default=10.0, description="for the whole answer")


class MetricCheck(Model):
    """A question to Prometheus after a release has come up, and during a canary. Failing takes the release back."""

    name: str = Field(min_length=1, description="name of the check")
    query: str = Field(
        min_length=1,
        description="PromQL; `$services` is the changed services as a regular expression, `$window` the seconds since "
        "they came up, such as 45s",
    )
    success: Annotated[str, AfterValidator(_as_success)] = Field(
        description="what each value must be: comparisons with a number or with `before`, the value when the release "
        "began: `<= 0.05 or <= before * 1.5`",
    )
    interval: Seconds = Field(default=10.0, gt=0, description="between two questions")
    count: Count = Field(default=3, ge=1, le=1000, description="how often it is asked")
    failure_limit: Count = Field(default=0, ge=0, description="how many of them may fail")
    initial_delay: Seconds = Field(default=15.0, description="before the first question")
    on_no_data: Literal["pass", "fail"] = Field(
        default="pass", description="what no answer means: no series, not a number, or no Prometheus"
    )


class Verify(Model):
    """What `verify`, and every deploy at its end, checks beyond health."""

    requests: list[Request] = Field(default=[], description="real requests through the edge")
    metrics: list[MetricCheck] | None = Field(
        default=None,
        description="questions to Prometheus after a release that changed services; default, where there is "
        "monitoring: error ratio, p95, restarts, firing alerts; []: none",
    )
