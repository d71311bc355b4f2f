"""Runs a coroutine test in virtual time: waiting costs nothing, and a test in which nothing can ever happen again fails."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulation.loop import run


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a coroutine test an ordinary one; the time in it is the loop's."""

    @functools.wraps(test)
    def in_virtual_time(*args: Any, **kwargs: Any) -> None:
        run(lambda _loop: test(*args, **kwargs))

    return in_virtual_time
