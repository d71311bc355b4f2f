"""When credentials are asked for, and how long anybody waits for them, in virtual time."""

import asyncio
from types import SimpleNamespace

import pytest

from outboard.aws.calls import Unreachable
from outboard.aws.identity import Identity
from outboard.aws.sdk import Sdk
from outboard.aws.signing import Credentials
from tests.simulation.loop import START
from tests.unit.virtual import virtual


def now():
    return asyncio.get_running_loop().time() - START


class Chain:
    """The SDK's chain: gives K1, K2, … each valid for `lifetime` seconds, `takes` seconds after it was asked."""

    def __init__(self):
        self.lifetime = 3600.0
        self.takes = 0.0
        self.failure = None
        self.asked = []
        self.loaded = 0
        self.expires = 0.0

    def session(self):
        return self

    async def get_credentials(self):
        self.loaded += 1
        return self

    async def get_frozen_credentials(self):
        self.asked.append(now())
        await asyncio.sleep(self.takes)
        if self.failure is not None:
            raise self.failure
        self.expires = now() + self.lifetime
        return SimpleNamespace(access_key=f"K{len(self.asked)}", secret_key="s", token=None)

    def refresh_needed(self, seconds):
        return self.expires < now() + seconds

    def get_config_variable(self, name):
        return "eu-west-1"

    def get_component(self, name):
        return None

    def register_component(self, name, component):
        pass

    def set_default_client_config(self, config):
        pass


class Asking:
    def __init__(self, role_arn=None):
        self.chain = Chain()
        self.identity = Identity(Sdk(self.chain.session), role_arn, "eu-west-1")

    async def key(self):
        return (await self.identity.credentials()).access_key

    async def failure(self):
        with pytest.raises(Unreachable) as caught:
            await self.identity.credentials()
        return caught.value


@virtual
async def test_the_sdk_is_asked_again_every_half_minute():
    at = Asking()
    keys = []
    for _ in range(7):
        keys.append(await at.key())
        await asyncio.sleep(10.0)

    assert keys == ["K1"] * 3 + ["K2"] * 3 + ["K3"]


@virtual
async def test_what_ends_within_a_minute_is_asked_for_each_time():
    at = Asking()
    at.chain.lifetime = 59.0

    assert [await at.key() for _ in range(3)] == ["K1", "K2", "K3"]


@virtual
async def test_while_new_ones_are_on_the_way_the_old_ones_are_given_at_once():
    at = Asking()
    assert await at.key() == "K1"
    await asyncio.sleep(30.0)
    at.chain.takes = 3.0
    started = now()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(at.key(), name="first")
        await asyncio.sleep(1.0)
        assert (await at.key(), now() - started) == ("K1", 1.0)

    assert (first.result(), now() - started) == ("K2", 3.0)


@virtual
async def test_a_hanging_source_holds_nobody_up_for_longer_than_five_seconds_while_the_old_ones_are_valid():
    at = Asking()
    at.chain.lifetime = 40.0
    await at.key()
    at.chain.takes = 1e6
    started = now()

    assert (await at.key(), now() - started) == ("K1", 5.0)
    assert (await at.key(), now() - started) == ("K1", 5.0)
    assert len(at.chain.asked) == 2


@virtual
async def test_a_hanging_source_is_given_up_after_twenty_seconds_where_nothing_is_valid():
    at = Asking()
    at.chain.takes = 1e6
    failure = await at.failure()

    assert now() == 20.0
    assert (failure.code, failure.message) == (
        "NoCredentials",
        "no credentials from the SDK's chain: nothing within 20 s; check the way to their source",
    )


@virtual
async def test_a_failing_source_is_asked_again_after_five_seconds_and_its_failure_is_ours_when_the_old_ones_end():
    at = Asking()
    at.chain.lifetime = 12.0
    await at.key()
    at.chain.failure = RuntimeError("the issuer\n is down")
    keys = []
    for _ in range(12):
        keys.append(await at.key())
        await asyncio.sleep(1.0)
    await asyncio.sleep(1.0)
    failure = await at.failure()

    assert keys == ["K1"] * 12
    assert at.chain.asked == [0.0, 0.0, 5.0, 10.0, 11.0, 13.0]
    assert failure.message == "no credentials from the SDK's chain: the issuer is down"


@virtual
async def test_after_a_failure_everything_is_looked_up_from_the_start():
    at = Asking()
    at.chain.failure = RuntimeError("down")
    await at.failure()
    await at.failure()
    at.chain.failure = None

    assert await at.key() == "K3"
    assert at.chain.loaded == 3


@virtual
async def test_who_waits_for_a_look_up_shares_its_failure():
    at = Asking()
    at.chain.takes = 2.0
    at.chain.failure = RuntimeError("down")
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(at.failure(), name="call")

    assert (now(), len(at.chain.asked)) == (2.0, 1)


@virtual
async def test_who_waits_for_a_look_up_that_was_given_up_asks_itself():
    at = Asking()
    at.chain.takes = 2.0
    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(at.key(), name="impatient")
        patient = group.create_task(at.key(), name="patient")
        await asyncio.sleep(1.0)
        impatient.cancel()

    assert (patient.result(), now()) == ("K2", 3.0)


@virtual
async def test_what_aws_calls_expired_is_forgotten_once():
    at = Asking()
    given = await at.identity.credentials()
    at.identity.forget(given)
    assert await at.key() == "K2"
    at.identity.forget(given)
    at.identity.forget(Credentials("another", "s"))

    assert await at.key() == "K2"
    assert at.chain.loaded == 2


@virtual
async def test_what_is_forgotten_while_others_wait_for_it_is_looked_up_again():
    at = Asking()
    at.chain.takes = 1.0

    async def forgetful():
        given = await at.identity.credentials()
        at.identity.forget(given)
        return given.access_key

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(forgetful(), name="call") for _ in range(3)]

    assert [task.result() for task in tasks] == ["K1", "K2", "K3"]
