"""Knows how to look into a mapping as the user wrote it, before any type is checked."""

import re
from collections.abc import Iterator, Mapping

from outboard.config.problems import Path

_SECRET_REFERENCE = re.compile(r"arn:aws[a-zA-Z0-9-]*:secretsmanager:.+|file:///.+|env:[A-Za-z_][A-Za-z0-9_]*")
#: Says nothing of what was written instead: it may be the secret itself.
NO_REFERENCE = "is not a reference to a secret; write a Secrets Manager ARN, file:///PATH or env:NAME"


def is_secret_reference(uri: str) -> bool:
    """Whether a URI says where a secret is, rather than being one."""
    return _SECRET_REFERENCE.fullmatch(uri) is not None


NO_VALUE = "has no value; give it one, or remove it"


def nulls(value: object, path: Path = ()) -> Iterator[Path]:
    """Where nothing is written behind a name: no more than a slip, since leaving out is what takes the default."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield from nulls(inside, (*path, key))
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            yield from nulls(inside, (*path, index))


class Written:
    """A mapping's fields; what is absent or of another type than asked for is None."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def at(self, *path: str) -> object:
        """Whatever stands at `path`."""
        value: object = self._fields
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def text(self, *path: str) -> str | None:
        value = self.at(*path)
        return value if isinstance(value, str) else None

    def number(self, *path: str) -> float | None:
        value = self.at(*path)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def access(self) -> list[tuple[str, str | None]]:
        """Type and URI of each entry of SourceAccessConfigurations, in place."""
        entries = self.at("SourceAccessConfigurations")
        if not isinstance(entries, list):
            return []
        whole = [Written(entry if isinstance(entry, Mapping) else {}) for entry in entries]
        return [(entry.text("Type") or "", entry.text("URI")) for entry in whole]

    def access_types(self) -> list[str]:
        return [kind for kind, _ in self.access()]

    @property
    def queue_mode(self) -> bool:
        """Kafka: whether a share group reads the topic."""
        return self.at("SelfManagedKafkaEventSourceConfig", "ConsumptionMode") == "Queue"

    @property
    def self_managed(self) -> bool:
        """Whether this is a Kafka cluster without an ARN."""
        return self.at("EventSourceArn") is None and self.at("SelfManagedEventSource") is not None
