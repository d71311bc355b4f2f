"""How a cluster is found, as the mapping says it."""

import ssl

import pytest

from outboard.aws.calls import Refused
from outboard.sources.kafka.consumer import ConsumerError, ConsumerSpec, Way
from outboard.sources.kafka.way import way_to
from tests.unit.aws.certificates import Authority

ARN = "arn:aws:kafka:eu-north-1:123456789012:cluster/events/0a1b2c3d-1"
SECRET = "arn:aws:secretsmanager:eu-south-1:123456789012:secret:ca"


class Aws:
    """MSK and Secrets Manager; `asked` is what of them was."""

    def __init__(self, secret="", failure=None):
        self.secret = secret
        self.failure = failure
        self.asked = []

    async def call(self, service, region, operation, **parameters):
        self.asked.append((service, region, operation, parameters))
        if self.failure is not None:
            raise self.failure
        both = {"BootstrapBrokerString": "b-1:9092", "BootstrapBrokerStringTls": "b-1:9094"}
        return both if service == "kafka" else {"SecretString": self.secret}


def spec(brokers="kafka:9092", *, tls=False, arn=None, ca=None):
    return ConsumerSpec("events", "uuid", "clicks", "group", brokers, tls, arn, ca)


async def test_brokers_that_are_named_are_taken_and_nobody_is_asked():
    aws = Aws()

    assert await way_to(spec("b1:1,b2:2", arn=ARN), aws) == Way("b1:1,b2:2", None)
    assert aws.asked == []


@pytest.mark.parametrize(("tls", "brokers"), [(True, "b-1:9094"), (False, "b-1:9092")])
async def test_msk_is_asked_in_the_region_of_its_arn_each_time(tls, brokers):
    aws = Aws()

    ways = [await way_to(spec("", tls=tls, arn=ARN), aws) for _ in range(2)]

    assert [(it.brokers, it.tls is not None) for it in ways] == [(brokers, tls)] * 2
    assert aws.asked == [("kafka", "eu-north-1", "get_bootstrap_brokers", {"ClusterArn": ARN})] * 2


async def test_the_certificates_are_those_that_the_reference_leads_to(tmp_path):
    aws = Aws(Authority(tmp_path).bundle.read_text())

    way = await way_to(spec(tls=True, ca=SECRET), aws)

    assert way.tls is not None
    assert len(way.tls.get_ca_certs()) == 1
    assert aws.asked == [("secretsmanager", "eu-south-1", "get_secret_value", {"SecretId": SECRET})]


async def test_without_a_reference_they_are_the_systems():
    way = await way_to(spec(tls=True), Aws())

    assert way.tls is not None
    assert way.tls.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("asking", "aws", "code"),
    [
        (spec("", tls=True, arn=ARN), Aws(failure=Refused(404, "NotFoundException", "no.")), "NotFoundException"),
        (spec(tls=True, ca=SECRET), Aws(failure=Refused(400, "DecryptionFailure", "no.")), "DecryptionFailure"),
        (spec(tls=True, ca=SECRET), Aws("{}"), "BadSecret"),
        (spec(tls=True, ca=SECRET), Aws("no PEM"), "BadCertificate"),
    ],
)
async def test_what_fails_ends_this_consumer_under_its_own_code(asking, aws, code):
    with pytest.raises(ConsumerError) as caught:
        await way_to(asking, aws)

    assert (caught.value.error_type, caught.value.fatal) == (code, True)
