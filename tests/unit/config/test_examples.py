import json
from pathlib import Path

import jsonschema
import pytest

from outboard.config.documents import read
from outboard.config.listing import describe
from outboard.config.loading import load, parse
from outboard.config.schema import schema

CONFIGS = Path(__file__).parents[3] / "configs"
EXAMPLES = sorted(
    it for it in CONFIGS.iterdir() if it.suffix in {".yaml", ".json"} and it.name != "outboard.schema.json"
)


def mappings(name):
    configuration = load(CONFIGS / name).configuration
    assert configuration is not None
    return configuration.event_source_mappings


def test_the_examples_are_there():
    assert [it.name for it in EXAMPLES] == [
        "from-aws-list.json",
        "kafka.yaml",
        "kinesis.yaml",
        "localstack.yaml",
        "many-mappings-with-defaults.yaml",
        "outboard.yaml",
        "sqs-fifo.yaml",
        "sqs-standard.yaml",
    ]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_loads_without_problems(path):
    loaded = load(path)

    assert ([str(it) for it in loaded.problems], loaded.fatal) == ([], False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_the_schema(path):
    jsonschema.validate(read(path.name, path.read_text()).value, schema(), jsonschema.Draft7Validator)


def test_the_defaults_that_the_default_file_shows_are_right():
    text = (CONFIGS / "outboard.yaml").read_text()
    shown = "\n".join(
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith(("# Inst", "# Stat", "# Ser", "# Lim", "# Shut", "# Log"))
    )
    plain, explicit = (parse({"config.yaml": it}).configuration for it in (text, f"{text}\n{shown}\n"))

    assert shown.count("\n") == 5
    assert explicit == plain


def test_defaults_reach_every_mapping_that_does_not_say_otherwise():
    it = {one.name: one for one in mappings("many-mappings-with-defaults.yaml")}

    assert [one.concurrency_limit for one in it.values()] == [25, 2, 25, 25]
    assert [one.report_batch_item_failures for one in it.values()] == [True, True, False, True]
    assert [one.enabled for one in it.values()] == [True, True, True, False]
    assert it["returns"].function_region(None) == "eu-west-1"


def test_the_streams_of_the_example_give_up_as_their_comments_say():
    clicks, ledger = mappings("kinesis.yaml")

    assert (clicks.retry_attempts, clicks.record_age, clicks.bisect_batch_on_function_error) == (5, 21600.0, True)
    assert (ledger.retry_attempts, ledger.record_age, ledger.concurrency_limit) == (None, None, 4)
    assert ledger.starting_position_timestamp == 1738281600.0


def test_the_topics_of_the_example_are_read_as_their_comments_say():
    clicks, orders = mappings("kafka.yaml")

    assert (clicks.brokers, clicks.consumer_group) == (
        "kafka-1.example.com:9093,kafka-2.example.com:9093",
        "count-clicks",
    )
    assert (clicks.uses_tls, clicks.ca_reference, clicks.concurrency_limit) == (True, "file:///etc/kafka/ca.pem", 16)
    assert (clicks.retry_attempts, clicks.record_age, clicks.window) == (5, 21600.0, 1.0)
    assert (orders.brokers, orders.uses_tls, orders.ca_reference, orders.window) == ("", True, None, 0.5)
    assert (orders.consumer_group, orders.concurrency_limit) == (orders.uuid, None)


def test_a_saved_listing_of_aws_is_taken_as_it_is():
    orders, payments = mappings("from-aws-list.json")

    assert (orders.name, orders.uuid) == ("14e0db71-5d35-4eb5-b481-8945cf9d10c2",) * 2
    assert (orders.function.qualifier, orders.concurrency_limit, orders.window) == ("live", 20, 2.0)
    assert (payments.enabled, payments.fifo) == (False, True)


def test_what_is_listed_can_be_loaded_again():
    before = mappings("from-aws-list.json")
    listed = [describe(it, "Enabled" if it.enabled else "Disabled", None, 1741076477.441) for it in before]

    again = parse({"saved.json": json.dumps({"EventSourceMappings": listed}, indent="\t")}).configuration

    assert again is not None
    assert again.event_source_mappings == before
