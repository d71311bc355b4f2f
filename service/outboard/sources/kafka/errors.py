"""Knows what aiokafka raises, in the words of the consumer's port."""

import contextlib
from collections.abc import Iterator

from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from outboard.sources.kafka.consumer import ConsumerError, NotOurs

#: Seconds that one question to the cluster may take.
PATIENCE = 15.0

#: OpenSSL's name for a certificate that nobody whom we trust has signed.
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"

#: What the library says of a request once there is no connection; why there is none it said before.
UNTELLING = frozenset({"NodeNotReadyError", "KafkaConnectionError", "KafkaError"})

#: What helps, by what is wrong with the way to the cluster.
REMEDIES = {
    UNTRUSTED: "name the CA that signed the brokers' certificates as SERVER_ROOT_CA_CERTIFICATE in "
    "SourceAccessConfigurations",
}

#: Seconds that an error counts as the present state if no fetch was answered since.
TROUBLE_LASTS = 60.0

#: After these the library's tasks have ended, its heartbeats for instance.
ENDS = (ConsumerStoppedError, GroupAuthorizationFailedError)

#: What the group says of a commit of another generation.
NOT_OURS = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


def still_says_why(known: ConsumerError, age: float, error_type: str) -> bool:
    """Whether an error that is known for `age` seconds says why one of `error_type`, heard now, came about."""
    return age < TROUBLE_LASTS and error_type in UNTELLING and known.error_type not in UNTELLING


@contextlib.contextmanager
def translated(not_ours: tuple[type[KafkaError], ...] = ()) -> Iterator[None]:
    """What the library raises, in the words of the port."""
    try:
        yield
    except TimeoutError:
        raise ConsumerError("KafkaTimeout", f"the cluster did not answer for {PATIENCE:.0f} s") from None
    except not_ours:
        raise NotOurs from None
    except (KafkaError, OSError) as error:
        raise ConsumerError(type(error).__name__, str(error) or type(error).__name__) from None
