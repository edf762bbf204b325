"""The kinds of values that settings are made of, and the base of all their models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from llmdeploy.config.units import parse_duration, parse_memory, parse_network, parse_period

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
GroupName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
MOST_MEMORY = 1024**5  # more than any host has, and no more than Docker can count
_Memory = BeforeValidator(parse_memory, json_schema_input_type=int | str)
Bytes = Annotated[int, _Memory, Field(ge=4 * 1024**2, le=MOST_MEMORY)]
Reservation = Annotated[int, _Memory, Field(le=MOST_MEMORY)]
Seconds = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str)]
Period = Annotated[float, BeforeValidator(parse_period, json_schema_input_type=float | str)]
PortNumber = Annotated[int, Field(ge=1, le=65535, strict=True)]
Count = Annotated[int, Field(strict=True)]  # strict: `yes` and "3" are mistakes, not numbers
Cores = Annotated[float, Field(strict=True)]
Capability = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z_]+$")]
Folder = Annotated[str, StringConstraints(pattern=r"^/[^:]*$")]
Cidr = Annotated[str, AfterValidator(parse_network)]
Scalar = str | int | float | bool
Protocol = Literal["http", "grpc", "tcp", "web"]
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,25}$")]
SecretPart = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,25}(\.pub|\.crt)?$")]


class Model(BaseModel):
    """Base of all models: unknown keys are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
