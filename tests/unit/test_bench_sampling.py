"""Samples of the bench are counted for the part of the work that their innermost telling frame belongs to."""

import pytest
from bench import sampling

_MAIN = "<module> (outboard/__main__.py:5);main (outboard/cli.py:80);Runner.run (asyncio/runners.py:118)"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", sampling.SEND),  # the event loop's own work
        (";PartitionFeed._take (outboard/sources/kafka/feed.py:159)", sampling.PROMISES),
        (
            ";PartitionFeed._take (outboard/sources/kafka/feed.py:159);render (outboard/events/kafka.py:88)",
            sampling.RENDER,
        ),
        (";PartitionFeed._fill (outboard/sources/kafka/feed.py:133);getall (aiokafka/fetcher.py:130)", sampling.FETCH),
        (";StreamReader.feed_data (asyncio/streams.py:500)", sampling.FETCH),
        (";_invoke (outboard/runtime/lane.py:183);Envelope.payload (outboard/core/records.py:55)", sampling.JOIN),
        (";SignedCalls.post (outboard/aws/client.py:76);sign (outboard/aws/signing.py:83)", sampling.SIGN),
        (";SignedCalls.post (outboard/aws/client.py:76);_request (aiohttp/client.py:900)", sampling.SEND),
        (";_find (<frozen importlib._bootstrap>:1);<module> (aiokafka/consumer.py:3)", sampling.START),
    ],
)
def test_a_sample_counts_for_its_innermost_telling_frame(inner: str, expected: str) -> None:
    assert sampling.part(_MAIN + inner) == expected


def test_what_waits_is_not_counted_and_the_rest_adds_up() -> None:
    samples = "\n".join(
        [
            f"{_MAIN};render (outboard/events/kafka.py:88) 3",
            "no_frame_that_says (elsewhere.py:1) 1",
            "Thread.run (threading.py:982);BlockingThread._work (outboard/state/thread.py:48) 96",
        ]
    )
    shares = sampling.shares(samples)
    assert shares == dict.fromkeys(sampling.PARTS, 0.0) | {sampling.RENDER: 0.75, sampling.REST: 0.25}


def test_no_sample_has_no_shares_to_divide() -> None:
    assert sampling.shares("") == dict.fromkeys(sampling.PARTS, 0.0)
