"""MSK's API, scripted byte by byte: where a cluster's brokers are."""

import json
from urllib.parse import quote

import pytest

from outboard.aws.asking import SdkCalls
from outboard.aws.calls import CallFailed, Refused, Unreachable
from outboard.aws.msk import bootstrap_brokers
from outboard.aws.sdk import Sdk
from tests.unit.aws.sources import sts
from tests.unit.aws.wire import answer, reset, wire

ARN = "arn:aws:kafka:eu-west-1:123456789012:cluster/events/0a1b2c3d-1"
TLS = {"bootstrapBrokerStringTls": "b-1.example:9094,b-2.example:9094"}
PLAIN = {"bootstrapBrokerString": "b-1.example:9092, b-2.example:9092"}
NOT_ALLOWED = (
    "not allowed to ask MSK for the brokers; grant kafka:GetBootstrapBrokers, or name the brokers in SourceEndpointUrl"
)
IAM = {"bootstrapBrokerStringSaslIam": "b-1.example:9098"}


def refusal(status, code, message="no."):
    body = {"message": message, "invalidParameter": "clusterArn"}
    return answer(status, json.dumps(body).encode(), x_amzn_errortype=code, content_type="application/json")


@pytest.fixture
def ask(keys, monkeypatch):
    """Calls a server whose answers are given, and says which requests came."""

    async def ask(*answers, tls=True, role_arn=None):
        async with wire(*answers) as msk:
            monkeypatch.setenv("AWS_ENDPOINT_URL_KAFKA", msk.url)
            calls = SdkCalls(Sdk(), role_arn)
            return await bootstrap_brokers(calls, "eu-west-1", ARN, tls=tls), msk.requests

    return ask


def brokers(*listeners):
    merged = {name: value for it in listeners for name, value in it.items()}
    return answer(body=json.dumps(merged).encode(), content_type="application/json")


async def test_the_listener_with_tls_is_the_one_without_a_login(ask):
    found, requests = await ask(brokers(PLAIN, TLS, IAM))

    assert found == "b-1.example:9094,b-2.example:9094"
    assert [it.line for it in requests] == [f"GET /v1/clusters/{quote(ARN, safe='')}/bootstrap-brokers HTTP/1.1"]
    assert "Credential=AK/" in requests[0].headers["authorization"]
    assert "/eu-west-1/kafka/" in requests[0].headers["authorization"]


async def test_without_tls_it_is_the_one_in_the_clear(ask):
    found, _ = await ask(brokers(PLAIN, TLS), tls=False)

    assert found == "b-1.example:9092,b-2.example:9092"


@pytest.mark.parametrize(
    ("listeners", "tls", "sentence"),
    [
        ((PLAIN,), True, "has no listener with TLS; set Tls: false, or name the brokers in SourceEndpointUrl"),
        ((TLS,), False, "has no listener without TLS; remove Tls: false, or name the brokers in SourceEndpointUrl"),
        (
            (IAM,),
            True,
            (
                "has no listener that asks for no login, and logins are not supported yet; allow unauthenticated"
                " access, or name the brokers in SourceEndpointUrl"
            ),
        ),
    ],
)
async def test_a_cluster_without_such_a_listener_says_what_to_do(ask, listeners, tls, sentence):
    with pytest.raises(CallFailed) as caught:
        await ask(brokers(*listeners), tls=tls)

    assert (caught.value.code, str(caught.value)) == ("NoSuchListener", f"the cluster {ARN} {sentence}")


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (404, "NotFoundException", "the cluster does not exist; create it or correct EventSourceArn (no.)"),
        (403, "ForbiddenException", f"{NOT_ALLOWED} (no.)"),
        (403, "AccessDeniedException", f"{NOT_ALLOWED} (no.)"),
        (400, "BadRequestException", "no."),
    ],
)
async def test_a_refusal_keeps_its_code_and_has_its_remedy(ask, status, code, sentence):
    with pytest.raises(Refused) as caught:
        await ask(refusal(status, code))

    assert (caught.value.status, caught.value.code, str(caught.value)) == (status, code, sentence)


async def test_the_sdk_tries_twice_and_no_more(ask, monkeypatch):
    with pytest.raises(CallFailed):
        await ask(*[refusal(503, "ServiceUnavailableException")] * 2)

    found, requests = await ask(refusal(503, "ServiceUnavailableException"), brokers(TLS))

    assert (found, len(requests)) == (TLS["bootstrapBrokerStringTls"], 2)


async def test_a_server_that_hangs_up_is_unreachable(ask):
    with pytest.raises(Unreachable, match=r"^kafka did not answer: "):
        await ask(*[reset] * 5)


@pytest.mark.parametrize("body", [b"{}", b"<html>"])
async def test_an_answer_without_brokers_says_so(ask, body):
    with pytest.raises(CallFailed) as caught:
        await ask(answer(body=body, content_type="application/json"))

    assert str(caught.value) == (
        f"MSK named no brokers of the cluster {ARN}; see to the cluster, or name the brokers in SourceEndpointUrl"
    )


async def test_an_endpoint_that_is_none_is_unreachable(keys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_KAFKA", "kafka")

    with pytest.raises(Unreachable, match=r"^kafka did not answer: Invalid endpoint: kafka"):
        await bootstrap_brokers(SdkCalls(Sdk()), "eu-west-1", ARN, tls=True)


async def test_without_credentials_the_remedy_is_named(bare_environment):
    with pytest.raises(Unreachable, match="AWS_ACCESS_KEY_ID"):
        await bootstrap_brokers(SdkCalls(Sdk()), "eu-west-1", ARN, tls=True)


async def test_a_role_is_assumed_where_one_is_named(ask, monkeypatch):
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)

        _, requests = await ask(brokers(TLS), role_arn="arn:aws:iam::123456789012:role/reader")

    assert [it.form["RoleArn"] for it in source.asked] == ["arn:aws:iam::123456789012:role/reader"]
    assert "Credential=AK1/" in requests[0].headers["authorization"]
