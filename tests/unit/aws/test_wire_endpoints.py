"""Where a call arrives, by everything that can name an endpoint."""

import asyncio
import socket

import pytest

from outboard.aws.calls import CallFailed, Unreachable
from tests.unit.aws.proxy import proxy
from tests.unit.aws.verifying import verifying
from tests.unit.aws.wire import wire

pytestmark = pytest.mark.usefixtures("keys")

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def config(monkeypatch, tmp_path):
    """Writes the shared config file."""

    def write(text):
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    return write


@pytest.fixture
async def server():
    async with wire() as made:
        yield made


@pytest.fixture
async def aws(monkeypatch):
    """Notes which of AWS's hosts would have been called, and lets nothing through."""
    async with proxy(NOBODY) as between:
        between.refuses, between.refusal = True, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
        monkeypatch.setenv("HTTPS_PROXY", between.url)
        yield between


async def arrives(services, server, own=None):
    """Whether an SQS call arrives at the server; and at nothing else, for there is nothing else."""
    await services().sqs("eu-west-1", own, None).call("ListQueues", {})
    return [request.line for request in server.requests] == ["POST / HTTP/1.1"]


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
async def test_an_endpoint_of_the_environment(services, server, monkeypatch, name):
    monkeypatch.setenv(name, server.url)

    assert await arrives(services, server)


async def test_the_services_own_variable_before_the_general_one(services, server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)

    assert await arrives(services, server)


async def test_the_mappings_before_all_others(services, server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", NOBODY)

    assert await arrives(services, server, own=f"{server.url}/")


@pytest.mark.parametrize(
    "text",
    [
        "[profile mine]\nendpoint_url = {url}\n",
        "[profile mine]\nservices = local\nendpoint_url = http://127.0.0.1:1\n[services local]\nsqs =\n  endpoint_url = {url}\n",
    ],
    ids=["for all services", "in a services section"],
)
async def test_an_endpoint_of_the_profile(services, server, monkeypatch, config, text):
    config(text.format(url=server.url))
    monkeypatch.setenv("AWS_PROFILE", "mine")

    assert await arrives(services, server)


async def test_the_environment_before_the_profile(services, server, monkeypatch, config):
    config(f"[default]\nendpoint_url = {NOBODY}\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)

    assert await arrives(services, server)


async def test_a_base_path_is_kept_and_signed(services):
    async with verifying() as server:
        made = services()
        await made.sqs("eu-west-1", f"{server.url}/base/", None).call("ListQueues", {})
        await made.lambda_("eu-west-1", f"{server.url}/base", None).invoke("orders", b"{}")

        assert server.statuses == [200, 200]


async def test_an_address_of_ipv6(services):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with wire() as made:
        try:
            server = await asyncio.start_server(made.serve, "::1", 0)
        except OSError:
            pytest.skip("no IPv6 here")
        port = server.sockets[0].getsockname()[1]
        await services().sqs("eu-west-1", f"http://[::1]:{port}", None).call("ListQueues", {})
        server.close()

        assert made.requests[0].headers["host"] == f"[::1]:{port}"


@pytest.mark.parametrize("ignored_by", ["the environment", "the profile"])
async def test_configured_endpoints_can_be_ignored(services, monkeypatch, config, aws, ignored_by):
    config(
        f"[default]\nendpoint_url = {NOBODY}\n"
        + "ignore_configured_endpoint_urls = true\n" * (ignored_by == "the profile")
    )
    if ignored_by == "the environment":
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", NOBODY)
    with pytest.raises(CallFailed):
        await services().sqs("eu-west-1", None, None).call("ListQueues", {})

    assert aws.lines == ["CONNECT sqs.eu-west-1.amazonaws.com:443 HTTP/1.1"]


@pytest.mark.parametrize(
    ("region", "variant", "sqs", "lambda_"),
    [
        ("eu-west-1", {}, "sqs.eu-west-1.amazonaws.com", "lambda.eu-west-1.amazonaws.com"),
        ("cn-north-1", {}, "sqs.cn-north-1.amazonaws.com.cn", "lambda.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", {}, "sqs.us-gov-west-1.amazonaws.com", "lambda.us-gov-west-1.amazonaws.com"),
        (
            "us-east-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "sqs-fips.us-east-1.amazonaws.com",
            "lambda-fips.us-east-1.amazonaws.com",
        ),
        ("us-east-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "sqs.us-east-1.api.aws", "lambda.us-east-1.api.aws"),
        ("xx-new-1", {}, "sqs.xx-new-1.amazonaws.com", "lambda.xx-new-1.amazonaws.com"),
    ],
    ids=["aws", "china", "gov", "fips", "dual stack", "a region of tomorrow"],
)
async def test_the_host_of_a_region(services, monkeypatch, aws, region, variant, sqs, lambda_):
    for name, value in variant.items():
        monkeypatch.setenv(name, value)
    made = services()
    for call in (
        made.sqs(region, None, None).call("ListQueues", {}),
        made.lambda_(region, None, None).invoke("orders", b"{}"),
    ):
        with pytest.raises(CallFailed):
            await call

    assert aws.lines == [f"CONNECT {host}:443 HTTP/1.1" for host in (sqs, lambda_)]


async def test_a_password_in_an_endpoint_is_refused_and_not_shown(services):
    with pytest.raises(Unreachable) as caught:
        services().sqs("eu-west-1", "https://me:secret@gate.example", None)

    assert (caught.value.code, caught.value.message) == (
        "BadEndpoint",
        "the endpoint URL of sqs names a user, which has no use here: write it as https://HOST or http://HOST:PORT",
    )
