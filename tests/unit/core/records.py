"""Records to test the core with."""

from outboard.core.records import Record


def record(identifier: str | int, *, size: int = 10, timestamp: float = 0.0, key: str = "") -> Record:
    """A record whose event is `size` bytes long."""
    return Record(str(identifier), b"x" * size, timestamp, key)


def records(count: int, **shape: object) -> list[Record]:
    return [record(number, **shape) for number in range(count)]  # type: ignore[arg-type]
