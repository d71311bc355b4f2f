"""Clocks that disagree with AWS's, against a server that checks signatures with botocore's signer and its own clock."""

import asyncio

import pytest

from outboard.aws.calls import Refused
from tests.unit.aws.verifying import verifying

pytestmark = pytest.mark.usefixtures("keys")

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"


async def test_calls_are_signed_as_botocore_reckons(services):
    async with verifying() as aws:
        made = services()
        await made.sqs("eu-west-1", aws.url, None).call("SendMessage", {"MessageBody": "caf\u00e9"})
        await made.lambda_("eu-west-1", aws.url, None).invoke(ARN, b"{}", qualifier="$LATEST", trace="Root=1-a")

        assert aws.statuses == [200, 200]


async def test_a_wrong_secret_is_seen(services, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    async with verifying() as aws:
        with pytest.raises(Refused) as caught:
            await services().sqs("eu-west-1", aws.url, None).call("ListQueues", {})

        assert (caught.value.code, aws.statuses) == ("SignatureDoesNotMatch", [403])


@pytest.mark.parametrize("ahead", [600.0, -600.0, 86_400.0 * 400])
@pytest.mark.parametrize(
    "late", ["InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"]
)
async def test_a_clock_that_is_off_costs_one_refusal_and_no_call(services, ahead, late):
    async with verifying(ahead, late) as aws:
        made = services()
        for _ in range(2):
            await made.sqs("eu-west-1", aws.url, None).call("ListQueues", {})

        assert aws.statuses == [403, 200, 200]


async def test_an_invoke_is_sent_once_more_with_its_whole_payload(services):
    async with verifying(600.0) as aws:
        reply = await services().lambda_("eu-west-1", aws.url, None).invoke(ARN, b"x" * 2_000_000)

        assert (reply.status, aws.statuses) == (200, [403, 200])


async def test_a_clock_within_aws_tolerance_is_left_alone(services):
    async with verifying(240.0) as aws:
        await services().sqs("eu-west-1", aws.url, None).call("ListQueues", {})

        assert aws.statuses == [200]


async def test_a_clock_that_is_set_right_again_is_followed(services):
    async with verifying(600.0) as aws:
        sqs = services().sqs("eu-west-1", aws.url, None)
        await sqs.call("ListQueues", {})
        aws.ahead = 0.0
        await sqs.call("ListQueues", {})
        await sqs.call("ListQueues", {})

        assert aws.statuses == [403, 200, 403, 200, 200]


async def test_an_endpoint_with_a_wrong_clock_disturbs_no_other(services):
    async with verifying(3600.0) as wrong, verifying() as right:
        made = services()
        clients = [made.sqs("eu-west-1", aws.url, None) for aws in (wrong, right)]
        for _ in range(3):
            async with asyncio.TaskGroup() as group:
                for client in clients * 5:
                    group.create_task(client.call("ListQueues", {}), name="call")

        assert set(right.statuses) == {200}
        assert wrong.statuses.count(200) == 15
        assert wrong.statuses.count(403) <= 5


async def test_a_refusal_whose_date_says_nothing_new_stands(services):
    async with verifying() as aws:
        aws.late = "InvalidSignatureException"
        sqs = services().sqs("eu-west-1", aws.url, None)
        aws._refusal = lambda *_: "InvalidSignatureException"
        with pytest.raises(Refused):
            await sqs.call("ListQueues", {})

        assert aws.statuses == [403]
