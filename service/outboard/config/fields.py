"""Knows the types of single values: what AWS and we accept, and the sentence about what we do not."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from outboard.config.arns import ACCOUNT, Arn, FunctionTarget, source_type_of

#: The type of every error whose message is already a sentence of ours.
SENTENCE = "sentence"


def pascal(name: str) -> str:
    """AWS's spelling of one of our attribute names, where it is regular."""
    return "".join(part.capitalize() for part in name.split("_"))


#: Unknown keys are errors; only AWS's names are read.
STRUCTURE = ConfigDict(
    extra="forbid", frozen=True, alias_generator=pascal, allow_inf_nan=False, regex_engine="python-re"
)


def sentence(message: str) -> PydanticCustomError:
    """An error whose message reaches the user as it is."""
    return PydanticCustomError(SENTENCE, "{message}", {"message": message})


def matching(pattern: str, message: str) -> Callable[[str], str]:
    """A check of the whole text."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise sentence(message)
        return value

    return check


def parsed_by(parse: Callable[[str], object]) -> Callable[[str], str]:
    """A check by a parser whose ValueErrors are sentences; the text itself is kept."""

    def check(value: str) -> str:
        try:
            parse(value)
        except ValueError as error:
            raise sentence(str(error)) from None
        return value

    return check


def wrong_with_url(value: str) -> str | None:
    """The sentence about a text that is no HTTP URL; None for one that is."""
    remedy = "write http://HOST:PORT or https://HOST:PORT"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return f"is not a URL; {remedy}"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or a password, which a URL here must not; remove them"
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or any(it.isspace() for it in value):
        return f"is not a URL; {remedy}"
    if parts.query or parts.fragment:
        return "holds a query or a fragment, which an endpoint cannot have; remove it"
    return None


def _http_url(value: str) -> str:
    wrong = wrong_with_url(value)
    if wrong is not None:
        raise sentence(wrong)
    return value


def _timestamp(value: object) -> object:
    if not isinstance(value, str):
        return value
    remedy = "write epoch seconds, or ISO 8601 with its zone such as 2025-01-31T12:00:00Z"
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise sentence(f"is not a time; {remedy}") from None
    if moment.tzinfo is None:
        raise sentence(f"names no time zone; {remedy}")
    return moment.timestamp()


Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Seconds = Annotated[float, Strict()]
Timestamp = Annotated[
    Seconds,
    BeforeValidator(_timestamp),
    Field(ge=0),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "format": "date-time"}]}),
]

SourceArn = Annotated[
    str, AfterValidator(parsed_by(lambda text: source_type_of(Arn.parse(text)))), Field(max_length=1024)
]
FunctionName = Annotated[str, AfterValidator(parsed_by(FunctionTarget.parse)), Field(min_length=1, max_length=256)]
RoleArn = Annotated[
    str,
    AfterValidator(
        matching(
            rf"arn:aws[a-zA-Z-]*:iam::{ACCOUNT}:role/[\w+=,.@/-]{{1,512}}",
            "is not the ARN of a role; write arn:aws:iam::ACCOUNT:role/NAME",
        )
    ),
]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
MappingName = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z0-9._-]{1,128}", "is not usable as a name; use 1 to 128 letters, digits, '.', '_' and '-'")
    ),
]
Uuid = Annotated[
    str,
    AfterValidator(
        matching(
            r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
            "is not a UUID; write 32 hexadecimal digits as 8-4-4-4-12, or leave it out",
        )
    ),
    AfterValidator(str.lower),
]
#: 1 to 65535.
_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
BROKER = rf"[A-Za-z0-9._-]+:{_PORT}"
Broker = Annotated[
    str,
    Field(min_length=1, max_length=300),
    AfterValidator(matching(BROKER, "is not a broker's address; write HOST:PORT")),
]
Topic = Annotated[
    str,
    Field(min_length=1, max_length=249),
    AfterValidator(
        matching(r"[^.]([a-zA-Z0-9\-_.]*)", "is not the name of a topic; use letters, digits, '.', '_' and '-'")
    ),
]
Queue = Annotated[str, Field(min_length=1, max_length=1000)]
