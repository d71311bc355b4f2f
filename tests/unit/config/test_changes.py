"""What a new configuration changes: mappings by UUID, and blocks that only a restart brings into force."""

from outboard.config.changes import changes, misplaced, needs_state, restart_needed
from outboard.config.loading import parse
from outboard.config.models import Configuration, EventSourceMapping

QUEUE = "arn:aws:sqs:eu-west-1:123456789012"
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream"


def configuration(*mappings: str, top: str = "") -> Configuration:
    text = f"{top}\nEventSourceMappings:\n" + "".join(f"  - {{{mapping}}}\n" for mapping in mappings)
    loaded = parse({"outboard.yaml": text})
    assert loaded.configuration is not None, loaded.problems
    assert not loaded.problems, loaded.problems
    return loaded.configuration


def queue(name: str, more: str = "") -> str:
    return f'Name: {name}, EventSourceArn: "{QUEUE}:{name}", FunctionName: f{more}'


def stream(name: str, more: str = "") -> str:
    return f'Name: {name}, EventSourceArn: "{STREAM}/{name}", FunctionName: f, StartingPosition: LATEST{more}'


def names(mappings: tuple[EventSourceMapping, ...]) -> list[str]:
    return [mapping.name for mapping in mappings]


def test_mappings_come_go_change_and_stay() -> None:
    old = configuration(queue("stays"), queue("goes"), queue("grows"), top="Aws: {Region: eu-west-1}")
    new = configuration(
        queue("comes"), queue("grows", ", BatchSize: 5"), queue("stays"), top="Aws: {Region: eu-west-1}"
    )
    found = changes(old, new)
    assert (names(found.added), names(found.removed), names(found.changed)) == (["comes"], ["goes"], ["grows"])
    assert found.changed[0].batch_size == 5


def test_a_value_said_otherwise_is_no_change() -> None:
    old = configuration(queue("orders", ", BatchSize: 5"), top="Aws: {Region: eu-west-1}")
    new = configuration(queue("orders"), top="Aws: {Region: eu-west-1}\nDefaults: {BatchSize: 5}")
    assert changes(old, new) == changes(old, old)


def test_a_region_that_a_function_takes_from_aws_region_is_a_change() -> None:
    old = configuration(queue("orders"), top="Aws: {Region: eu-west-1}")
    new = configuration(queue("orders"), top="Aws: {Region: us-east-1}")
    assert names(changes(old, new).changed) == ["orders"]


def test_a_mapping_switched_off_is_changed() -> None:
    old, new = configuration(queue("orders")), configuration(queue("orders", ", Enabled: false"))
    assert names(changes(old, new).changed) == ["orders"]


def test_another_installation_is_other_mappings() -> None:
    old, new = configuration(queue("orders")), configuration(queue("orders"), top="Installation: other")
    found = changes(old, new)
    assert (names(found.added), names(found.removed)) == (["orders"], ["orders"])


def test_only_an_enabled_stream_needs_state() -> None:
    assert needs_state(configuration(queue("orders"), stream("clicks")))
    assert not needs_state(configuration(queue("orders"), stream("clicks", ", Enabled: false")))


def test_what_waits_for_a_restart_is_measured_against_the_start() -> None:
    old = configuration(queue("orders"))
    new = configuration(
        queue("orders"),
        top="Server: {Port: 9090}\nLimits: {MaximumBufferedBytes: 33554432}\nState: {Path: /tmp/x.db}\n"
        "Shutdown: {DrainTimeoutSeconds: 5}\nLogging: {Level: debug}",
    )
    assert restart_needed(old, new, state_is_open=True) == ("State", "Server", "Limits", "Logging")
    assert restart_needed(old, new, state_is_open=False) == ("Server", "Limits", "Logging")
    assert restart_needed(old, old, state_is_open=True) == ()


def test_a_stream_that_begins_in_a_state_about_to_be_left_is_refused() -> None:
    old = configuration(stream("clicks"), stream("views"))
    new = configuration(
        stream("clicks"), stream("views", ", BatchSize: 7"), stream("new"), top="State: {Path: /tmp/other.db}"
    )
    planned = changes(old, new)
    wrong = misplaced(old, new, planned, state_is_open=True)
    assert [line.split(":")[0] for line in wrong] == ["mapping new", "mapping views"]
    assert wrong[0] == (
        "mapping new: State: changes only at a restart, and this mapping, which is new or changed, keeps its positions "
        "there; restart Outboard, or change State back"
    )
    assert misplaced(old, new, planned, state_is_open=False) == []
