"""Why there is no connection is not forgotten over what follows from it."""

import pytest

from outboard.sources.kafka.consumer import ConsumerError
from outboard.sources.kafka.errors import UNTRUSTED, still_says_why


@pytest.mark.parametrize(
    ("known", "age", "heard", "expected"),
    [
        (UNTRUSTED, 0.1, "NodeNotReadyError", True),
        (UNTRUSTED, 59, "KafkaError", True),
        (UNTRUSTED, 61, "NodeNotReadyError", False),  # nothing has said it for a while
        (UNTRUSTED, 0.1, "ConnectionRefusedError", False),
        ("ConnectionRefusedError", 0.1, UNTRUSTED, False),
        ("KafkaError", 0.1, "NodeNotReadyError", False),
    ],
)
def test_an_error_that_says_why_outlasts_what_follows_from_it(
    known: str, age: float, heard: str, expected: bool
) -> None:
    assert still_says_why(ConsumerError(known, "what was said"), age, heard) is expected
