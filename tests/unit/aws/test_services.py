"""The whole way from configuration to a service: the SDK's chain, assumed roles, and moto's server behind them."""

import os

import pytest

from outboard.aws.calls import Refused, Unreachable
from outboard.aws.services import Services

ROLE = "arn:aws:iam::123456789012:role/poller"


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
async def services():
    made = Services(lambda *_: None)
    yield made
    await made.close()


def credentials(tmp_path):
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AK\naws_secret_access_key = secret\n")


async def test_messages_go_in_and_come_out_with_credentials_from_the_shared_file(services, tmp_path, moto_url):
    credentials(tmp_path)
    sqs = services.sqs("eu-west-1", moto_url, None)
    url = (await sqs.call("CreateQueue", {"QueueName": "signed"}))["QueueUrl"]
    await sqs.call("SendMessage", {"QueueUrl": url, "MessageBody": "caf\u00e9"})

    received = await sqs.call("ReceiveMessage", {"QueueUrl": url})

    assert [message["Body"] for message in received["Messages"]] == ["caf\u00e9"]


async def test_a_missing_queue_is_refused_under_the_documented_name(services, tmp_path, moto_url):
    credentials(tmp_path)
    with pytest.raises(Refused) as caught:
        await services.sqs("eu-west-1", moto_url, None).call("ReceiveMessage", {"QueueUrl": f"{moto_url}/1/none"})

    assert caught.value.code == "QueueDoesNotExist"


async def test_a_role_is_assumed_through_sts_with_the_identity_of_the_chain(services, tmp_path, moto_url, monkeypatch):
    credentials(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_url)

    assert "QueueUrl" in await services.sqs("eu-west-1", moto_url, ROLE).call("CreateQueue", {"QueueName": "by-role"})


async def test_a_role_that_cannot_be_assumed_names_the_role(services, tmp_path, monkeypatch):
    credentials(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match=ROLE):
        await services.sqs("eu-west-1", "http://127.0.0.1:1", ROLE).call("ListQueues", {}, timeout=20.0)


async def test_without_credentials_a_call_fails_with_the_remedy(services):
    with pytest.raises(Unreachable, match="AWS_ACCESS_KEY_ID") as caught:
        await services.sqs("eu-west-1", "http://127.0.0.1:1", None).call("ListQueues", {})

    assert caught.value.code == "NoCredentials"
