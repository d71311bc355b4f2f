"""Knows the configuration as a whole: the mappings, and the blocks beside them with their defaults."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from outboard.config.arns import REGION
from outboard.config.fields import STRUCTURE, Seconds, Whole, matching
from outboard.config.mapping import EventSourceMapping

__all__ = ["Aws", "Configuration", "EventSourceMapping", "Limits", "Logging", "Server", "Shutdown", "State"]

_Region = Annotated[str, AfterValidator(matching(REGION, "is not the name of a region; write one such as eu-west-1"))]


class Aws(BaseModel):
    """How AWS is reached."""

    model_config = STRUCTURE

    region: _Region | None = Field(None, description="The functions' region where their ARN names none.")


class State(BaseModel):
    """Where positions are kept, for the sources that do not keep them themselves."""

    model_config = STRUCTURE

    type: Literal["sqlite", "dynamodb", "memory"] = Field("sqlite", description="A file, a table, or nothing durable.")
    path: str = Field("outboard.db", min_length=1, description="Type sqlite: the file.")
    table_name: Annotated[
        str,
        AfterValidator(
            matching(
                r"[a-zA-Z0-9_.-]{3,255}",
                "is not the name of a table; use 3 to 255 letters, digits, '.', '_' and '-'",
            )
        ),
    ] = Field("outboard", description="Type dynamodb: the table, created if missing.")


class Server(BaseModel):
    """The one port: metrics, health and the mappings' states."""

    model_config = STRUCTURE

    host: str = Field("0.0.0.0", min_length=1, description="The address to listen on.")  # noqa: S104  scraped and probed from outside
    port: Whole = Field(8080, ge=0, le=65_535, description="The TCP port; 0 takes any free one.")


class Limits(BaseModel):
    """What the process may use."""

    model_config = STRUCTURE

    maximum_buffered_bytes: Whole = Field(
        268_435_456, ge=16_777_216, description="Bytes of records held at once by all mappings, at most."
    )


class Shutdown(BaseModel):
    """How the process stops."""

    model_config = STRUCTURE

    drain_timeout_seconds: Seconds = Field(
        120.0, ge=0, le=7200, description="Seconds for all that is under way to finish after SIGTERM."
    )


class Logging(BaseModel):
    """What is logged."""

    model_config = STRUCTURE

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least severe level to log.")
    format: Literal["json", "console"] = Field("json", description="One JSON object a line, or lines for people.")


class Configuration(BaseModel):
    """Everything that `outboard run` goes by. Of the mappings, only those that are valid."""

    model_config = STRUCTURE

    installation: str = Field(
        "outboard", min_length=1, max_length=256, description="Part of every default UUID; one for each deployment."
    )
    aws: Aws = Field(Aws(), description="How AWS is reached.")
    state: State = Field(State(), description="Where positions are kept.")
    server: Server = Field(Server(), description="The port for metrics and health.")
    limits: Limits = Field(Limits(), description="What the process may use.")
    shutdown: Shutdown = Field(Shutdown(), description="How the process stops.")
    logging: Logging = Field(Logging(), description="What is logged.")
    event_source_mappings: tuple[EventSourceMapping, ...] = Field(
        (), description="The mappings, AWS's fields and ours."
    )
