"""The demo's configuration is a user's configuration, and its environment reaches no real account."""

from pathlib import Path

import yaml

from outboard.demo.layout import configuration, environment
from outboard.demo.world import Workload


def test_the_configuration_names_every_mapping_and_where_everything_is() -> None:
    workload = Workload("orders", 1.0, mapping={"EventSourceArn": "arn:x", "FunctionName": "f", "BatchSize": 10})

    written = yaml.safe_load(
        configuration([workload], source_url="http://s", function_url="http://f", port=8081, state=Path("f/o.db"))
    )

    assert written["EventSourceMappings"] == [
        {"Name": "orders", "EventSourceArn": "arn:x", "FunctionName": "f", "BatchSize": 10}
    ]
    assert written["Defaults"] == {"SourceEndpointUrl": "http://s", "FunctionEndpointUrl": "http://f"}
    assert written["State"] == {"Type": "sqlite", "Path": "f/o.db"}
    assert written["Server"] == {"Host": "127.0.0.1", "Port": 8081}


def test_nothing_of_the_user_s_aws_settings_reaches_the_service() -> None:
    inherited = {"PATH": "/bin", "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "t", "OUTBOARD_CONFIG": "mine.yaml"}

    given = environment(inherited, "http://127.0.0.1:1")

    assert given["PATH"] == "/bin"
    assert given["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "OUTBOARD_CONFIG"} & given.keys() == set()
