"""Knows which refusals mean that a call was signed with a wrong clock or a stale token, so that it can be sent anew."""

from enum import Enum, auto

from outboard.aws.errors import ServiceError, epoch

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
#: These say "bad signature"; it was the clock only if the clocks disagree.
_PERHAPS_SKEWED = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch", "InvalidSignature", "AuthFailure"})
#: AWS accepts five minutes; a little less counts as the cause.
_TOLERATED_SKEW = 240.0


class Cure(Enum):
    """What makes a refused call worth sending once more."""

    CLOCK = auto()
    CREDENTIALS = auto()


def cure(error: ServiceError, offset: float, learnt: float | None) -> Cure | None:
    """What to mend before the call is sent again; None: the refusal stands.

    `offset` is what was added to our clock when the call was signed, `learnt` what the answer's Date says it should be;
    both are in seconds.
    """
    if error.code in _EXPIRED:
        return Cure.CREDENTIALS
    if learnt is None:
        return None
    if error.code in _SKEWED:
        return Cure.CLOCK
    apart = abs(learnt - offset)
    return Cure.CLOCK if error.code in _PERHAPS_SKEWED and apart > _TOLERATED_SKEW else None


def clock_offset(date: str, now: float) -> float | None:
    """How far the service's clock is ahead of ours, in seconds, by its Date header."""
    sent = epoch(date)
    return None if sent is None else sent - now
