"""Knows how AWS names things: ARNs, the forms of a function's name, and which ARN is which kind of event source."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

REGION = r"[a-z]{2,}(?:-[a-z]+)+-\d+"
ACCOUNT = r"\d{12}"
_PARTITION = r"aws[a-zA-Z0-9-]*"
_ARN = re.compile(rf"arn:({_PARTITION}):([a-zA-Z0-9-]+):((?:{REGION})?):((?:{ACCOUNT})?):(.+)", re.DOTALL)
_NAME = r"[a-zA-Z0-9-_]{1,64}"
_FUNCTION = re.compile(
    rf"(?:arn:(?P<partition>{_PARTITION}):lambda:(?P<region>{REGION}):(?P<arn_account>{ACCOUNT}):function:"
    rf"|(?P<account>{ACCOUNT}):(?:function:)?"
    rf"|function:)?(?P<name>{_NAME})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]{{1,128}}))?"
)


class SourceType(StrEnum):
    """The kinds of event source that AWS has; MSK and self-managed Kafka are one."""

    SQS = "sqs"
    KINESIS = "kinesis"
    DYNAMODB = "dynamodb"
    KAFKA = "kafka"
    RABBITMQ = "rabbitmq"
    ACTIVEMQ = "activemq"
    DOCUMENTDB = "documentdb"


LABELS = {
    SourceType.SQS: "SQS",
    SourceType.KINESIS: "Kinesis",
    SourceType.DYNAMODB: "DynamoDB",
    SourceType.KAFKA: "Kafka",
    SourceType.RABBITMQ: "RabbitMQ",
    SourceType.ACTIVEMQ: "ActiveMQ",
    SourceType.DOCUMENTDB: "DocumentDB",
}

#: The service and the shape of the resource by which an ARN is recognised as an event source. Amazon MQ's ARNs do not
#: tell the engine: see `rules.source_type`.
_SOURCES = (
    ("sqs", re.compile(r"[a-zA-Z0-9_-]{1,80}|[a-zA-Z0-9_-]{1,75}\.fifo"), SourceType.SQS, "QUEUE"),
    ("kinesis", re.compile(r"stream/[a-zA-Z0-9_.-]{1,128}(/consumer/[^/]+)?"), SourceType.KINESIS, "stream/STREAM"),
    ("dynamodb", re.compile(r"table/[a-zA-Z0-9_.-]{3,255}/stream/.+"), SourceType.DYNAMODB, "table/TABLE/stream/LABEL"),
    ("kafka", re.compile(r"cluster/[^/]+/[^/]+"), SourceType.KAFKA, "cluster/NAME/ID"),
    ("mq", re.compile(r"broker:[^:]+:[^:]+"), SourceType.ACTIVEMQ, "broker:NAME:ID"),
    ("rds", re.compile(r"cluster:[^:]+"), SourceType.DOCUMENTDB, "cluster:NAME"),
)


def _why_no_arn(text: str) -> str:
    _, partition, service, region, account, resource = (*text.split(":", 5), *[""] * 5)[:6]
    remedy = "an ARN reads arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE"
    if "://" in text:
        return f"is a URL, not an ARN; {remedy}"
    if not (text.startswith("arn:") and partition and service and resource):
        return f"is not an ARN; {remedy}"
    if account and not re.fullmatch(ACCOUNT, account):
        return f"names the account '{account}', and accounts have 12 digits; correct it"
    if region and not re.fullmatch(REGION, region):
        return f"names the Region '{region}', which reads like none; write one such as eu-west-1"
    return f"names the partition or the service wrongly; {remedy}"


@dataclass(frozen=True, slots=True)
class Arn:
    """A parsed ARN. `region` and `account` may be empty; `resource` is all that follows the account."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @classmethod
    def parse(cls, text: str) -> "Arn":
        """Raises ValueError with a sentence."""
        found = _ARN.fullmatch(text)
        if found is None:
            raise ValueError(_why_no_arn(text))
        return cls(*found.groups())


@dataclass(frozen=True, slots=True)
class FunctionTarget:
    """The function that a mapping invokes, as far as its name says.

    Attributes:
        region: of the ARN, else `Aws.Region`; None leaves it to the SDK's chain.
        arn: what AWS would print, qualifier included; parts that nobody named are taken from the event source.
    """

    name: str
    account: str | None = None
    region: str | None = None
    qualifier: str | None = None
    invoke_name: str = ""
    arn: str = ""

    @classmethod
    def parse(cls, text: str, *, default_region: str | None = None, source: Arn | None = None) -> "FunctionTarget":
        """From a name, a partial ARN or an ARN, each with or without qualifier. Raises ValueError with a sentence."""
        found = _FUNCTION.fullmatch(text)
        if found is None:
            raise ValueError(
                "names no function; write NAME, NAME:ALIAS or arn:aws:lambda:REGION:ACCOUNT:function:NAME[:ALIAS]"
            )
        name, qualifier = found["name"], found["qualifier"]
        account = found["arn_account"] or found["account"]
        region = found["region"] or default_region
        place = source or Arn("aws", "", "us-east-1", "", "")
        arn = Arn(
            partition=found["partition"] or place.partition,
            service="lambda",
            region=region or place.region or "us-east-1",
            account=account or place.account or "000000000000",
            resource=f"function:{name}" + (f":{qualifier}" if qualifier else ""),
        )
        invoke_name = name
        if found["region"]:
            invoke_name = str(arn).removesuffix(f":{qualifier}")
        elif account:
            invoke_name = f"{account}:function:{name}"
        return cls(name, account, region, qualifier, invoke_name, str(arn))


def source_type_of(arn: Arn, access_types: Iterable[object] = (), endpoint: object = None) -> SourceType:
    """The kind of source that an ARN names. Raises ValueError with a sentence.

    A broker's ARN does not tell RabbitMQ from ActiveMQ: an AMQP endpoint or a virtual host does.
    """
    for service, shape, kind, example in _SOURCES:
        if service != arn.service:
            continue
        if not arn.region or not arn.account or shape.fullmatch(arn.resource) is None:
            raise ValueError(
                f"is not the ARN of an event source; it reads arn:{arn.partition}:{service}:REGION:ACCOUNT:{example}"
            )
        if service == "mq" and ("VIRTUAL_HOST" in access_types or str(endpoint or "").startswith("amqp")):
            return SourceType.RABBITMQ
        return kind
    raise ValueError(
        f"names the service {arn.service}, which is no event source; the services are "
        f"{', '.join(service for service, *_ in _SOURCES)}"
    )
