"""Credentials from every source of the SDK's chain, from their first use to their end."""

import asyncio
import logging
import re
import sys
import time

import pytest

from outboard.aws.calls import CallFailed, Refused, Unreachable
from tests.unit.aws.sources import container, instance, sts, sts_error
from tests.unit.aws.wire import answer, hang, wire

pytestmark = pytest.mark.usefixtures("bare_environment")

ROLE = "arn:aws:iam::123456789012:role/poller"
NONE_FOUND = (
    "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, "
    "or give the process a role"
)
EXPIRED = answer(403, b'{"__type":"ExpiredTokenException","message":"expired"}')


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Writes the shared files: `files(credentials=…, config=…)`."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / name).write_text(text)

    return write


@pytest.fixture
async def queue():
    """An SQS that answers everything."""
    async with wire() as server:
        yield server


@pytest.fixture
def call(services, queue):
    """Calls SQS, always from the same process as it were; gives the access key that the call was signed with."""
    made = services()

    async def call(region="eu-west-1", role_arn=None, timeout=10.0):
        await made.sqs(region, queue.url, role_arn).call("ListQueues", {}, timeout=timeout)
        return signer(queue.requests[-1])

    return call


def signer(request):
    return re.search(r"Credential=([^/]+)/", request.headers["authorization"])[1]


def static(key, token=""):
    lines = f"aws_access_key_id = {key}\naws_secret_access_key = s\n"
    return lines + (f"aws_session_token = {token}\n" if token else "")


async def failure_of(call) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value


# Where they come from.


async def test_the_environment(call, queue, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-the-environment")

    assert await call() == "AKENV"
    assert queue.requests[0].headers["x-amz-security-token"] == "of-the-environment"


async def test_a_line_break_behind_a_key_is_no_part_of_it(call, queue, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s\n")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token\r\n")

    assert await call() == "AKENV"
    assert queue.requests[0].headers["x-amz-security-token"] == "token"


@pytest.mark.parametrize("file", ["credentials", "config"])
async def test_the_profile_that_is_named(call, files, monkeypatch, file):
    header = "[profile mine]" if file == "config" else "[mine]"
    files(**{file: f"[default]\n{static('AKDEFAULT')}{header}\n{static('AKMINE')}"})
    monkeypatch.setenv("AWS_PROFILE", "mine")

    assert await call() == "AKMINE"


async def test_a_program_that_a_profile_names(call, files, tmp_path):
    program = tmp_path / "program.py"
    program.write_text('print(\'{"Version": 1, "AccessKeyId": "AKP", "SecretAccessKey": "s"}\')')
    files(config=f"[default]\ncredential_process = {sys.executable} {program}\n")

    assert await call() == "AKP"


async def test_a_role_that_a_profile_names(call, files, monkeypatch):
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        files(
            credentials=f"[base]\n{static('AKBASE')}",
            config=f"[default]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = customer\n",
        )

        assert await call() == "AK1"
        assert source.asked[0].access_key == "AKBASE"
        assert (source.asked[0].form["RoleArn"], source.asked[0].form["ExternalId"]) == (ROLE, "customer")


async def test_eks_pod_identity_whose_token_is_read_anew(call, monkeypatch, tmp_path):
    token = tmp_path / "token"
    async with container() as source:
        source.lifetime = 50.0
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{source.url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        token.write_text("first")
        await call()
        token.write_text("second")
        await call()

        said = [asked.headers["Authorization"] for asked in source.asked]
        assert (said[0], said[-1]) == ("first", "second")


async def test_an_instances_role_by_the_second_version_of_its_metadata_alone(call, monkeypatch):
    async with instance() as source:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", source.url)

        assert await call() == "AK1"
        assert [asked.method for asked in source.asked] == ["PUT", "GET", "GET"]


@pytest.fixture
def web_identity(monkeypatch, tmp_path):
    """As EKS gives it to a pod with a service account."""
    token = tmp_path / "web-identity"
    token.write_text("first")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "pod")
    return token


async def test_a_web_identity_whose_token_is_read_anew(call, monkeypatch, web_identity):
    async with sts() as source:
        source.lifetime = 50.0
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        assert await call() == "AK1"
        web_identity.write_text("second")
        assert await call() == "AK2"

        forms = [asked.form for asked in source.asked]
        assert [form["WebIdentityToken"] for form in forms] == ["first", "second"]
        assert {(form["Action"], form["RoleArn"], form["RoleSessionName"]) for form in forms} == {
            ("AssumeRoleWithWebIdentity", ROLE, "pod")
        }
        assert "Authorization" not in source.asked[0].headers


@pytest.mark.parametrize(("own", "expected"), [(None, "cn-north-1"), ("cn-northwest-1", "cn-northwest-1")])
async def test_a_web_identity_is_shown_to_the_sts_of_the_callers_region(call, monkeypatch, web_identity, own, expected):
    """China's STS is no other than China's: the one that goes without saying knows no Chinese role."""
    if own:
        monkeypatch.setenv("AWS_DEFAULT_REGION", own)
    async with wire(answer(502, b"")) as between:
        between.default = answer(502, b"")
        monkeypatch.setenv("HTTPS_PROXY", between.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

        assert (await failure_of(call("cn-north-1"))).code == "NoCredentials"
        assert between.requests[0].line == f"CONNECT sts.{expected}.amazonaws.com.cn:443 HTTP/1.1"


async def test_the_role_of_a_mapping_is_assumed_in_its_region_with_the_processs_own_credentials(
    call, queue, monkeypatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)

        assert [await call(role_arn=ROLE), await call(), await call(role_arn=ROLE)] == ["AK1", "AKOWN", "AK1"]
        (asked,) = source.asked
        assert asked.access_key == "AKOWN"
        assert "/eu-west-1/sts/" in asked.headers["Authorization"]
        assert (asked.form["RoleArn"], asked.form["RoleSessionName"]) == (ROLE, "outboard")
        assert queue.requests[0].headers["x-amz-security-token"] == "t"


# To their end.


async def test_credentials_about_to_end_are_replaced_before_they_do(call, monkeypatch, web_identity):
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        source.lifetime = 50.0
        assert await call() == "AK1"
        source.lifetime = 3600.0
        assert [await call(), await call()] == ["AK2", "AK2"]


async def test_short_lived_credentials_are_not_fetched_for_every_call(call, monkeypatch, web_identity):
    """A session of STS's shortest, 15 minutes, is due for a refresh from the start by the SDK's reckoning."""
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        source.lifetime = 880.0

        assert {await call() for _ in range(20)} == {"AK1"}
        assert len(source.asked) == 1


async def test_credentials_that_cannot_be_replaced_serve_to_their_end_and_one_line_says_so(
    call, monkeypatch, web_identity, caplog
):
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        source.lifetime = 50.0
        assert await call() == "AK1"
        source.refuses = 403, sts_error("InvalidIdentityToken", "the issuer is down")
        with caplog.at_level(logging.WARNING):
            assert [await call() for _ in range(5)] == ["AK1"] * 5

        (line,) = [record for record in caplog.records if record.name.startswith("aiobotocore")]
        assert line.exc_info is None
        assert "the issuer is down" in line.getMessage()
        assert len(source.asked) == 2


async def test_an_instances_credentials_outlive_its_metadata_service(call, monkeypatch):
    async with instance() as source:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", source.url)
        source.lifetime = 50.0
        first = await call()
        source.refuses = 500, "down"

        assert await call() == first


async def test_credentials_that_aws_calls_expired_are_looked_up_anew_and_the_call_sent_once_more(
    call, queue, monkeypatch, web_identity
):
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        await call()
        queue.answers = [EXPIRED]

        assert await call() == "AK2"
        assert [signer(request) for request in queue.requests] == ["AK1", "AK1", "AK2"]


async def test_a_role_that_aws_calls_expired_is_assumed_anew(call, queue, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        queue.answers = [EXPIRED]

        assert await call(role_arn=ROLE) == "AK2"
        assert [asked.access_key for asked in source.asked] == ["AKOWN", "AKOWN"]


async def test_a_file_with_new_keys_is_read_when_the_old_ones_have_expired(call, queue, files):
    files(credentials=f"[default]\n{static('AKOLD', 'old')}")
    assert await call() == "AKOLD"
    files(credentials=f"[default]\n{static('AKNEW', 'new')}")
    assert await call() == "AKOLD"
    queue.answers = [EXPIRED]

    assert await call() == "AKNEW"


async def test_keys_that_stay_expired_are_a_refusal(call, queue, files):
    files(credentials=f"[default]\n{static('AKOLD', 'old')}")
    queue.answers = [EXPIRED, EXPIRED]
    failure = await failure_of(call())

    assert isinstance(failure, Refused)
    assert (failure.code, failure.message, len(queue.requests)) == ("ExpiredTokenException", "expired", 2)


async def test_many_calls_that_hear_of_an_expired_token_fetch_one_new_one(call, queue, monkeypatch, web_identity):
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        await call()
        queue.answers = [EXPIRED] * 8
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(call(), name="call")

        assert source.given == 2
        assert [signer(request) for request in queue.requests[-8:]] == ["AK2"] * 8


# None to be had.


async def appear_in_environment(monkeypatch, files):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKLATE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")


async def appear_in_credentials_file(monkeypatch, files):
    files(credentials=f"[default]\n{static('AKLATE')}")


async def appear_in_config_file(monkeypatch, files):
    files(config=f"[default]\n{static('AKLATE')}")


async def appear_by_a_program(monkeypatch, files):
    document = '{"Version": 1, "AccessKeyId": "AKLATE", "SecretAccessKey": "s"}'
    files(config=f"[default]\ncredential_process = echo '{document}'\n")


@pytest.mark.parametrize(
    "appear",
    [appear_in_environment, appear_in_credentials_file, appear_in_config_file, appear_by_a_program],
    ids=lambda appear: appear.__name__.removeprefix("appear_"),
)
async def test_without_credentials_a_call_fails_with_the_remedy_until_they_appear(
    call, queue, monkeypatch, files, appear
):
    for _ in range(2):
        failure = await failure_of(call())
        assert isinstance(failure, Unreachable)
        assert (failure.code, failure.message) == ("NoCredentials", NONE_FOUND)
    assert queue.requests == []

    await appear(monkeypatch, files)
    assert await call() == "AKLATE"


async def test_a_profile_that_does_not_exist_is_named_until_it_does(call, monkeypatch, files):
    files(credentials=f"[other]\n{static('AK')}")
    monkeypatch.setenv("AWS_PROFILE", "missing")
    assert "missing" in (await failure_of(call())).message

    files(credentials=f"[missing]\n{static('AKLATE')}")
    assert await call() == "AKLATE"


async def test_an_agent_that_is_down_is_named_and_found_when_it_is_back(call, monkeypatch, web_identity):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    started = time.monotonic()
    failure = await failure_of(call())
    assert time.monotonic() - started < 5.0
    assert failure.code == "NoCredentials"
    assert "http://127.0.0.1:1" in failure.message

    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        assert await call() == "AK1"


async def test_a_role_that_may_not_be_assumed_says_so_and_leaves_other_mappings_alone(call, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        source.refuses = 403, sts_error("AccessDenied", "not authorized to perform sts:AssumeRole")
        failure = await failure_of(call(role_arn=ROLE))

        assert failure.code == "NoCredentials"
        assert failure.message.startswith(f"no credentials for the role {ROLE}: ")
        assert "not authorized to perform sts:AssumeRole" in failure.message
        assert await call() == "AKOWN"
        source.refuses = None
        assert await call(role_arn=ROLE) == "AK1"


async def test_a_source_that_hangs_is_bounded_by_the_call(call, monkeypatch, web_identity):
    async with wire() as source:
        source.default = hang
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        started = time.monotonic()
        failure = await failure_of(call(timeout=0.3))

        assert time.monotonic() - started < 5.0
        assert isinstance(failure, Unreachable)
        assert (failure.code, failure.message) == (
            "NoCredentials",
            "no credentials were to be had within 0.3 s; check the way to their source",
        )


async def test_calls_that_wait_for_credentials_together_share_what_comes_of_it(call, monkeypatch, web_identity):
    async with sts() as source:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", source.url)
        source.refuses = 403, sts_error("AccessDenied", "no")
        async with asyncio.TaskGroup() as group:
            failing = [group.create_task(failure_of(call()), name="call") for _ in range(10)]
        assert {task.result().code for task in failing} == {"NoCredentials"}
        assert len(source.asked) == 1

        source.refuses = None
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(call(), name="call") for _ in range(10)]
        assert {task.result() for task in calls} == {"AK1"}
        assert len(source.asked) == 2
