import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outboard.config.arns import SourceType
from outboard.config.assembling import FailedMapping, parse
from outboard.config.models import Aws, Limits, Logging, Server, Shutdown, State
from outboard.config.resolving import MAPPING_FIELDS, default_uuid
from tests.unit.config.snippets import QUEUE, STREAM, written

GOOD = json.dumps({"EventSourceMappings": [written()]})


def broken_configs():
    """Each case of the file: what it is about, the file's name, its text, and the lines."""
    _, *cases = re.split(r"^=== ", Path(__file__).with_name("broken_configs.txt").read_text(), flags=re.MULTILINE)
    for case in cases:
        head, rest = case.split("\n", 1)
        about, file = head.split(" | ")
        text, lines = rest.split(">>>\n") if not rest.startswith(">>>") else ("", rest.removeprefix(">>>\n"))
        yield pytest.param(
            file, text, lines.split("\n")[:-2] if lines.endswith("\n\n") else lines.splitlines(), id=about
        )


@pytest.mark.parametrize(("file", "text", "lines"), broken_configs())
def test_a_broken_configuration_says_all_that_is_wrong_with_it(file, text, lines):
    assert [str(problem) for problem in parse({file: text}).problems] == lines


@pytest.mark.parametrize(("file", "text", "lines"), broken_configs())
def test_every_sentence_says_what_is_wrong_and_the_remedy(file, text, lines):
    assert [line for line in lines if "; " not in line] == []


def test_there_are_broken_configurations_to_learn_from():
    assert len(list(broken_configs())) >= 90


def test_everything_left_out_has_its_default():
    configuration = parse({"config.yaml": GOOD}).configuration

    assert configuration is not None
    assert configuration.installation == "outboard"
    assert (configuration.aws, configuration.state) == (Aws(), State())
    assert (configuration.server.host, configuration.server.port) == ("0.0.0.0", 8080)
    assert configuration.limits.maximum_buffered_bytes == 268_435_456
    assert configuration.shutdown.drain_timeout_seconds == 120.0
    assert (configuration.logging.level, configuration.logging.format) == ("info", "json")
    assert [it.name for it in configuration.event_source_mappings] == ["orders"]


def test_every_block_is_read():
    text = """
Installation: shop
Aws: {Region: eu-north-1}
State: {Type: dynamodb, TableName: positions}
Server: {Host: 127.0.0.1, Port: 0}
Limits: {MaximumBufferedBytes: 16777216}
Shutdown: {DrainTimeoutSeconds: 0.5}
Logging: {Level: error, Format: console}
"""
    configuration = parse({"a.yaml": GOOD, "b.yaml": text}).configuration

    assert configuration is not None
    [mapping] = configuration.event_source_mappings
    assert (mapping.uuid, mapping.function.region) == (default_uuid("shop", "orders"), "eu-north-1")
    assert configuration.aws == Aws.model_validate({"Region": "eu-north-1"})
    assert configuration.state == State.model_validate({"Type": "dynamodb", "TableName": "positions"})
    assert configuration.server == Server.model_validate({"Host": "127.0.0.1", "Port": 0})
    assert configuration.limits == Limits.model_validate({"MaximumBufferedBytes": 16_777_216})
    assert configuration.shutdown == Shutdown.model_validate({"DrainTimeoutSeconds": 0.5})
    assert configuration.logging == Logging.model_validate({"Level": "error", "Format": "console"})


def test_a_block_with_every_line_commented_out_is_as_if_it_were_not_there():
    loaded = parse({"config.yaml": f"Defaults:\nAws:\n{GOOD[1:-1]}\n"})

    assert (loaded.problems, loaded.fatal) == ((), False)


def test_the_good_mappings_run_beside_a_bad_one_which_is_told_with_its_reasons():
    bad = written(Name="returns", EventSourceArn=STREAM, ParallelizationFactor=2)
    loaded = parse({"config.json": json.dumps({"EventSourceMappings": [bad, written()]})})

    assert loaded.configuration is not None
    assert [it.name for it in loaded.configuration.event_source_mappings] == ["orders"]
    assert (loaded.fatal, len(loaded.problems)) == (False, 2)
    assert loaded.failed == (
        FailedMapping(
            name="returns",
            uuid=default_uuid("outboard", "returns"),
            source_arn=STREAM,
            source_type=SourceType.KINESIS,
            reasons=tuple(problem.what for problem in loaded.problems),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD[1:-1]}\nFoo: 1\n",
        f"{GOOD[1:-1]}\nServer: {{Port: 1, Port: 2}}\n",
        json.dumps({"EventSourceMappings": [written(), written()]}),
        json.dumps({"EventSourceMappings": [written(BatchSize=0)]}),
        json.dumps({"EventSourceMappings": [written(), written(Name="b")], "NextToken": "x"}),
        "EventSourceMappings: [",
    ],
    ids=["unknown block", "key twice", "name twice", "no valid mapping", "cut off", "syntax"],
)
def test_what_makes_the_whole_unusable_is_fatal(text):
    assert parse({"config.yaml": text}).fatal is True


def test_a_key_twice_in_one_mapping_is_that_mappings_problem_only():
    text = f"{GOOD[1:-2]}, {{Name: b, EventSourceArn: '{QUEUE}', FunctionName: f, FunctionName: g}}]\n"

    loaded = parse({"config.yaml": text})

    assert (loaded.fatal, [it.name for it in loaded.failed]) == (False, ["b"])


def test_files_are_merged_and_problems_name_theirs():
    other = json.dumps({"EventSourceMappings": [written(Name="returns"), written(Name="bad", BatchSize=0)]}, indent=1)
    loaded = parse({"a.json": GOOD, "b.json": other})

    assert loaded.configuration is not None
    assert [it.name for it in loaded.configuration.event_source_mappings] == ["orders", "returns"]
    assert [str(it) for it in loaded.problems] == [
        "b.json:12: mapping bad: BatchSize: is 0; the least allowed is 1; raise it"
    ]


def test_a_block_in_two_files_is_refused():
    loaded = parse({"a.yaml": f"Server: {{Port: 1}}\n{GOOD[1:-1]}\n", "b.yaml": "\nServer: {Port: 2}\n"})

    assert loaded.fatal is True
    assert [str(it) for it in loaded.problems] == [
        "b.yaml:2: Server: is given in two files, first at a.yaml:1; keep one"
    ]


def test_a_name_in_two_files_is_refused():
    loaded = parse({"a.yaml": GOOD, "b.yaml": GOOD})

    assert loaded.configuration is None
    assert [str(it) for it in loaded.problems] == [
        "b.yaml:1: mapping orders: Name: is also that of the mapping at a.yaml:1; give each mapping a Name of its own"
    ]


def test_a_problem_that_comes_from_the_defaults_of_another_file_is_shown_there():
    loaded = parse({"a.yaml": "\nDefaults:\n  BatchSize: 50\n", "b.yaml": GOOD})

    [problem] = loaded.problems
    assert (problem.file, problem.line, problem.mapping, problem.field) == ("a.yaml", 3, "orders", "BatchSize")


def test_a_mappings_own_state_wins_over_a_default_enabled():
    loaded = parse(
        {
            "a.yaml": "Defaults: {Enabled: true}\n",
            "b.json": json.dumps({"EventSourceMappings": [written(State="Disabled")]}),
        }
    )

    assert loaded.configuration is not None
    assert [it.enabled for it in loaded.configuration.event_source_mappings] == [False]


def test_no_sentence_repeats_what_may_be_a_secret():
    secret = "hunter2-and-much-more"
    fields = written(
        EventSourceArn="arn:aws:kafka:eu-west-1:123456789012:cluster/events/1",
        SourceAccessConfigurations=[
            {"Type": "BASIC_AUTH", "URI": secret},
            {"Type": "IAM_AUTH", "URI": secret},
            {"Type": "SASL_SCRAM_512_AUTH", "URI": secret * 99},
            {"Type": "CLIENT_CERTIFICATE_TLS_AUTH", "URI": [secret]},
        ],
        FunctionEndpointUrl=f"http://me:{secret}@host",
    )
    loaded = parse({"config.json": json.dumps({"EventSourceMappings": [fields]})})

    assert len(loaded.problems) > 4
    assert [str(it) for it in loaded.problems if secret in str(it)] == []


def test_the_hash_follows_names_and_texts_but_not_the_folder():
    hashes = [parse(it).content_hash for it in ({"x/a": GOOD}, {"y/a": GOOD}, {"x/b": GOOD}, {"x/a": GOOD + " "})]

    assert (hashes[0] == hashes[1], len(set(hashes))) == (True, 3)
    assert re.fullmatch(r"[0-9a-f]{12}", hashes[0])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([QUEUE, STREAM]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted(MAPPING_FIELDS | {"Type", "URI", "OnFailure", "Endpoints"})), inside, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(MAPPING_FIELDS)), anything, max_size=8), anything)
def test_whatever_stands_in_a_mapping_or_beside_it_ends_in_sentences(fields, block):
    text = json.dumps(
        {"EventSourceMappings": [written(**fields), fields], "Defaults": fields, "Server": block, "State": block}
    )
    loaded = parse({"config.json": text.replace("NaN", "0").replace("Infinity", "0")})

    assert [str(it) for it in loaded.problems if "configs/outboard.schema.json\n" in f"{it}\n"] == []
    assert [str(it) for it in loaded.problems if "; " not in it.message] == []
