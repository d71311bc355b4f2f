"""Where a service is called, with the SDK's own clients as the oracle."""

import os

import pytest
from aiobotocore.session import AioSession

from outboard.aws.calls import Unreachable
from outboard.aws.endpoints import Endpoints
from outboard.aws.sdk import Sdk

CONFIG = """
[default]
services = local
[profile ignoring]
endpoint_url = http://global:1
ignore_configured_endpoint_urls = true
[profile broken]
services = nowhere
[services local]
sqs =
  endpoint_url = http://file-sqs:1
"""


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def resolve(service, region="eu-west-1", own=None, **environ):
    return Endpoints(Sdk(), environ).resolve(service, region, own)


@pytest.mark.parametrize("variant", [{}, {"AWS_USE_FIPS_ENDPOINT": "true"}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}])
@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "cn-north-1", "eu-central-2"])
@pytest.mark.parametrize("service", ["sqs", "lambda", "kinesis"])
async def test_aws_own_endpoint_is_what_the_sdk_would_call(monkeypatch, service, region, variant):
    for name, value in variant.items():
        monkeypatch.setenv(name, value)
    async with AioSession().create_client(
        service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b"
    ) as client:
        expected = client.meta.endpoint_url

    assert resolve(service, region) == expected


def test_the_mappings_own_url_wins_over_the_environments():
    environ = {"AWS_ENDPOINT_URL_SQS": "http://env-sqs:1", "AWS_ENDPOINT_URL": "http://env:1"}

    assert resolve("sqs", own="http://own:1", **environ) == "http://own:1"
    assert resolve("sqs", **environ) == "http://env-sqs:1"
    assert resolve("lambda", **environ) == "http://env:1"


def test_the_shared_config_files_services_section_counts(tmp_path):
    (tmp_path / "config").write_text(CONFIG)

    assert resolve("sqs") == "http://file-sqs:1"
    assert resolve("lambda") == "https://lambda.eu-west-1.amazonaws.com"


def test_configured_urls_can_be_ignored(monkeypatch, tmp_path):
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_PROFILE", "ignoring")

    assert resolve("sqs", AWS_ENDPOINT_URL="http://env:1") == "https://sqs.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("profile", ["broken", "missing"])
def test_a_broken_configuration_is_a_sentence(monkeypatch, tmp_path, profile):
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_PROFILE", profile)

    with pytest.raises(Unreachable) as caught:
        resolve("sqs")

    assert caught.value.code in {"BadEndpoint", "BadAwsConfig"}


@pytest.mark.parametrize("own", ["localhost:4566", "ftp://h", "http://", "http://h:port"])
def test_what_is_no_url_is_refused(own):
    with pytest.raises(Unreachable, match="endpoint URL of sqs"):
        resolve("sqs", own=own)
