"""Which refusals are worth a second try."""

import pytest

from outboard.aws.errors import ServiceError
from outboard.aws.refusals import Cure, clock_offset, cure


@pytest.mark.parametrize(
    ("code", "offset", "learnt", "expected"),
    [
        ("ExpiredTokenException", 0.0, None, Cure.CREDENTIALS),
        ("ExpiredToken", 0.0, 900.0, Cure.CREDENTIALS),
        ("RequestTimeTooSkewed", 0.0, 900.0, Cure.CLOCK),
        ("RequestTimeTooSkewed", 0.0, None, None),
        ("InvalidSignatureException", 0.0, 900.0, Cure.CLOCK),
        ("InvalidSignatureException", 0.0, -900.0, Cure.CLOCK),
        ("InvalidSignatureException", 0.0, 2.0, None),
        ("InvalidSignatureException", 900.0, 901.0, None),
        ("SignatureDoesNotMatch", 900.0, 1.0, Cure.CLOCK),
        ("AccessDeniedException", 0.0, 900.0, None),
        ("UnrecognizedClientException", 0.0, 900.0, None),
    ],
)
def test_only_a_wrong_clock_and_a_stale_token_can_be_mended(code, offset, learnt, expected):
    assert cure(ServiceError(403, code, "", "", None, ""), offset, learnt) is expected


def test_the_offset_is_the_services_clock_less_ours():
    assert clock_offset("Tue, 14 Nov 2023 22:13:20 GMT", 1_700_000_000.0 - 600) == 600.0


def test_without_a_date_nothing_is_learnt():
    assert clock_offset("", 0.0) is None
