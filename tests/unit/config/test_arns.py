import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.config.arns import Arn, FunctionTarget, SourceType, source_type_of
from tests.unit.config.snippets import BROKER, CLUSTER, MSK, QUEUE, STREAM, TABLE

accounts = st.from_regex(r"[0-9]{12}", fullmatch=True)
regions = st.sampled_from(
    ["eu-west-1", "us-gov-east-1", "cn-north-1", "us-isob-east-1", "ap-southeast-12", "eusc-de-east-1"]
)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True).filter(lambda it: it != "function")
qualifiers = st.one_of(st.none(), st.just("$LATEST"), st.from_regex(r"[a-zA-Z0-9_-]{1,30}", fullmatch=True))
partitions = st.sampled_from(["aws", "aws-cn", "aws-us-gov"])


def suffixed(text: str, qualifier: str | None) -> str:
    return text if qualifier is None else f"{text}:{qualifier}"


@given(
    st.builds(
        Arn,
        partition=partitions,
        service=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
        region=st.one_of(st.just(""), regions),
        account=st.one_of(st.just(""), accounts),
        resource=st.text(min_size=1),
    )
)
def test_an_arn_survives_being_printed_and_parsed(arn):
    assert Arn.parse(str(arn)) == arn


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not an ARN; "),
        ("orders", "is not an ARN; "),
        ("arn:aws:sqs:eu-west-1:123456789012:", "is not an ARN; "),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "is a URL, not an ARN; "),
        ("arn:aws:sqs:Ireland:123456789012:q", "names the Region 'Ireland', which reads like none; "),
        ("arn:aws:sqs:eu-west-1:12345678901:q", "names the account '12345678901', and accounts have 12 digits; "),
        ("arn:aliyun:sqs:eu-west-1:123456789012:q", "names the partition or the service wrongly; "),
    ],
)
def test_what_is_no_arn_is_refused_with_what_is_wrong_about_it(text, why):
    with pytest.raises(ValueError, match=f"^{why}"):
        Arn.parse(text)


@given(partitions, regions, accounts, names, qualifiers)
def test_a_functions_arn_is_taken_apart_and_printed_as_it_was(partition, region, account, name, qualifier):
    bare = f"arn:{partition}:lambda:{region}:{account}:function:{name}"
    text = suffixed(bare, qualifier)

    target = FunctionTarget.parse(text, default_region="us-east-2")

    assert target == FunctionTarget(name, account, region, qualifier, invoke_name=bare, arn=text)


@given(names, qualifiers)
def test_a_bare_name_takes_what_it_lacks_from_its_source(name, qualifier):
    target = FunctionTarget.parse(suffixed(name, qualifier), source=Arn.parse(QUEUE))

    arn = suffixed(f"arn:aws:lambda:eu-west-1:123456789012:function:{name}", qualifier)
    assert target == FunctionTarget(name, None, None, qualifier, invoke_name=name, arn=arn)


@given(accounts, names, qualifiers, st.sampled_from(["function:", ""]))
def test_a_partial_arn_keeps_its_account(account, name, qualifier, middle):
    target = FunctionTarget.parse(suffixed(f"{account}:{middle}{name}", qualifier), default_region="cn-north-1")

    arn = suffixed(f"arn:aws:lambda:cn-north-1:{account}:function:{name}", qualifier)
    assert target == FunctionTarget(name, account, "cn-north-1", qualifier, f"{account}:function:{name}", arn)


def test_a_qualifier_that_repeats_the_name_is_cut_off_once():
    target = FunctionTarget.parse("arn:aws:lambda:eu-west-1:123456789012:function:live:live")

    assert target.invoke_name == "arn:aws:lambda:eu-west-1:123456789012:function:live"


def test_a_functions_region_wins_over_the_default():
    target = FunctionTarget.parse("arn:aws:lambda:eu-west-1:123456789012:function:f", default_region="us-east-1")

    assert target.region == "eu-west-1"


@pytest.mark.parametrize(
    "text", ["", "a b", "f:live:2", "f" * 65, "arn:aws:lambda:eu-west-1:function:f", "f\n", "f:$OLD"]
)
def test_what_names_no_function_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="names no function; write NAME, NAME:ALIAS or arn:aws:lambda:"):
        FunctionTarget.parse(text)


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        (QUEUE, SourceType.SQS),
        (STREAM, SourceType.KINESIS),
        (f"{STREAM}/consumer/fast:1700000000", SourceType.KINESIS),
        (TABLE, SourceType.DYNAMODB),
        (MSK, SourceType.KAFKA),
        (BROKER, SourceType.ACTIVEMQ),
        (CLUSTER, SourceType.DOCUMENTDB),
    ],
)
def test_an_arn_tells_its_kind_of_source(arn, kind):
    assert source_type_of(Arn.parse(arn)) is kind


@pytest.mark.parametrize(("access", "endpoint"), [(["VIRTUAL_HOST"], None), ([], "amqps://mq:5671")])
def test_rabbitmq_is_known_by_its_virtual_host_or_its_protocol(access, endpoint):
    assert source_type_of(Arn.parse(BROKER), access, endpoint) is SourceType.RABBITMQ
