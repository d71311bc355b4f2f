"""Knows how it is said that the state cannot be used."""

from pathlib import Path


class StateUnavailable(Exception):
    """The state cannot be used, and nothing of it was changed; the message is a sentence for the user."""


def refused(path: Path, what: str, remedy: str) -> StateUnavailable:
    """`what` is said of the state file at `path`."""
    return StateUnavailable(f"State.Path: the state file {path} {what}; {remedy}.")
