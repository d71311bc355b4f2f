"""Knows how AWS's ListEventSourceMappings answers: filters, pages, markers and errors."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: AWS returns no more than this at once, whatever MaxItems says.
PAGE = 100

_MAX_ITEMS = 10_000

#: Every way in which AWS lets a function be named.
_FUNCTION = re.compile(
    r"(?:arn:[\w-]+:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[\w-]+)(?::(?P<qualifier>\$LATEST|[\w-]+))?",
    re.ASCII,
)

#: One mapping, in the shape of AWS's EventSourceMappingConfiguration.
Configuration = Mapping[str, object]


class Refused(Exception):
    """The request cannot be answered; `code` is AWS's name for why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; `marker` is None on the last."""

    mappings: Sequence[Configuration]
    marker: str | None


def find(listing: Sequence[Configuration], uuid: str) -> Configuration:
    """The mapping with this UUID. Raises `Refused` where there is none."""
    for mapping in listing:
        if mapping.get("UUID") == uuid:
            return mapping
    raise Refused(404, "ResourceNotFoundException", "The resource you requested does not exist.")


def page(listing: Sequence[Configuration], query: Mapping[str, str]) -> Page:
    """The page that the parameters EventSourceArn, FunctionName, Marker and MaxItems ask for. Raises `Refused`."""
    size = _max_items(query.get("MaxItems", ""))
    after = _read_marker(query.get("Marker", ""))
    found = [mapping for mapping in listing if _wanted(mapping, query) and str(mapping["UUID"]) > after]
    found.sort(key=lambda mapping: str(mapping["UUID"]))
    shown = found[:size]
    return Page(shown, _marker(str(shown[-1]["UUID"])) if len(found) > size else None)


def _wanted(mapping: Configuration, query: Mapping[str, str]) -> bool:
    source, function = query.get("EventSourceArn", ""), query.get("FunctionName", "")
    return (not source or mapping.get("EventSourceArn") == source) and (
        not function or _same_function(str(mapping.get("FunctionArn", "")), function)
    )


def _same_function(ours: str, asked: str) -> bool:
    """Whether both name one function at one qualifier; a region or an account that one leaves out is no difference."""
    left, right = _FUNCTION.fullmatch(ours), _FUNCTION.fullmatch(asked)
    if left is None or right is None:
        return ours == asked
    exact = all((left[part] or "$LATEST") == (right[part] or "$LATEST") for part in ("name", "qualifier"))
    return exact and all(
        not left[part] or not right[part] or left[part] == right[part] for part in ("region", "account")
    )


def _max_items(text: str) -> int:
    if not text:
        return PAGE
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise Refused(400, "InvalidParameterValueException", f"MaxItems must be a whole number, and '{text}' is none.")
    number = int(text)
    if not 1 <= number <= _MAX_ITEMS:
        bound = "greater than or equal to 1" if number < 1 else f"less than or equal to {_MAX_ITEMS}"
        what = f"Value '{number}' at 'maxItems' failed to satisfy constraint: Member must have value {bound}"
        raise Refused(400, "ValidationException", f"1 validation error detected: {what}")
    return min(number, PAGE)


def _marker(uuid: str) -> str:
    return base64.urlsafe_b64encode(uuid.encode()).decode()


def _read_marker(text: str) -> str:
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refused(400, "InvalidParameterValueException", "Marker is not one that this listing gave out.") from None
