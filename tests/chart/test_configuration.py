"""The configuration in the values is the one that the service reads, whatever is written in it."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from outboard.config.documents import read
from outboard.config.loading import parse
from tests.chart.mappings import config, queue, stream, topic, values
from tests.chart.rendering import Cluster, render

#: What a template engine, YAML 1.1, YAML 1.2 or a shell might take for something else.
AWKWARD = [
    "{{ .Release.Name }}",
    "{{- fail `no` }}",
    "${HOME} $(id) `id`",
    'it\'s "quoted" \\ back',
    "on",
    "No",
    "~",
    "null",
    "0x1F",
    "0o10",
    "010",
    "1_000",
    "1e3",
    ".5",
    "12:30:45",
    "2025-01-31",
    "=",
    "<<",
    "- one",
    "# no comment",
    "a: b",
    " spaces ",
    "first\nsecond\n",
    "tab\there",
    "straße 鍵 🗝",
    "\u2028 \u00a0 \ufeff",
    "</script> & <b>",
    "%percent @at !bang &amp *star",
    "---\n...",
]


def read_by_the_service(text):
    return read("outboard.yaml", text).value


@pytest.mark.parametrize("word", AWKWARD)
def test_awkward_words_survive(word):
    given = config(queue(UUID="1", FilterCriteria={"Filters": [{"Pattern": word}]}), Installation=f"x{word}")

    assert read_by_the_service(render({"config": given}).configuration) == given


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_any_text_survives(word):
    given = config(queue(FunctionName=f"f{word}"), Installation=f"x{word}")

    assert read_by_the_service(render({"config": given}).configuration) == given


@settings(max_examples=50, deadline=None)
@given(st.integers(16_777_216, 2**53), st.integers(0, 7200) | st.floats(0, 7200), st.booleans())
def test_numbers_and_booleans_survive(size, seconds, enabled):
    given = config(
        queue(Enabled=enabled),
        Installation="shop",
        Limits={"MaximumBufferedBytes": size},
        Shutdown={"DrainTimeoutSeconds": seconds},
    )

    assert read_by_the_service(render({"config": given}).configuration) == given


def test_reading_the_mappings_leaves_them_and_their_defaults_as_they_are():
    given = config(queue(BatchSize=5), topic(), stream(Enabled=False), Defaults={"Enabled": True}, Installation="shop")

    assert read_by_the_service(render({"config": given}).configuration) == given


def test_the_installation_is_namespace_and_release_unless_it_is_set():
    at = Cluster(release="green", namespace="shop")

    assert yaml.safe_load(render(values(queue()), at).configuration)["Installation"] == "shop/green"
    said = {"config": config(queue(), Installation="mine")}
    assert yaml.safe_load(render(said, at).configuration)["Installation"] == "mine"


def test_blocks_of_which_every_line_is_commented_out_are_accepted():
    empty = dict.fromkeys(("Aws", "State", "Server", "Limits", "Shutdown", "Logging", "Defaults"))

    rendered = render({"config": config(queue(), **empty)})

    loaded = parse({"outboard.yaml": rendered.configuration})
    assert loaded.problems == ()
    assert rendered.pod["terminationGracePeriodSeconds"] == 135


def test_a_configuration_of_ones_own_is_mounted_and_none_is_made():
    rendered = render({"existingConfigMap": "mine", "stateful": False})

    assert rendered.all("ConfigMap") == []
    assert next(it for it in rendered.pod["volumes"] if it["name"] == "config") == {
        "name": "config",
        "configMap": {"name": "mine"},
    }


def mount(rendered):
    return next(it for it in rendered.container["volumeMounts"] if it["name"] == "config")


def annotations(given, **more):
    return render({"config": given, **more}).workload["spec"]["template"]["metadata"]["annotations"]


def test_hot_reload_mounts_a_folder_and_leaves_the_pods_alone():
    rendered = render(values(queue(), reload="hot"))

    assert mount(rendered) == {"name": "config", "mountPath": "/etc/outboard", "readOnly": True}
    assert annotations(config(queue())) == annotations(config(queue(), stream("more", Enabled=False)))


def test_rollout_mounts_a_file_that_never_changes_and_replaces_the_pods():
    rendered = render(values(queue(), reload="rollout"))

    assert mount(rendered) == {
        "name": "config",
        "mountPath": "/etc/outboard/outboard.yaml",
        "subPath": "outboard.yaml",
        "readOnly": True,
    }
    before, same, after = (
        annotations(config(queue(BatchSize=size)), reload="rollout")["checksum/config"] for size in (1, 1, 2)
    )
    assert before == same
    assert before != after


def test_strict_is_the_services_own_option():
    assert render(values(queue(), strict=True)).container["args"] == ["run", "--strict"]
    assert "args" not in render(values(queue())).container


@pytest.mark.parametrize(
    ("seconds", "grace"), [(None, 135), (0, 15), (0.5, 16), (45.5, 61), (120, 135), (900, 915), (7200, 7215)]
)
def test_the_pod_may_take_as_long_to_end_as_outboard_takes_to_drain(seconds, grace):
    drain = {} if seconds is None else {"Shutdown": {"DrainTimeoutSeconds": seconds}}

    assert render({"config": config(queue(), **drain)}).pod["terminationGracePeriodSeconds"] == grace
    own = {"existingConfigMap": "mine", "stateful": False, "existingConfig": {"drainTimeoutSeconds": seconds}}
    assert render(own).pod["terminationGracePeriodSeconds"] == grace


@pytest.mark.parametrize(
    ("more", "port"),
    [
        ({"config": config(queue())}, 8080),
        ({"config": config(queue(), Server={"Port": 9090})}, 9090),
        ({"config": config(queue(), Server={"Host": "0.0.0.0"})}, 8080),
        ({"existingConfigMap": "mine", "stateful": False}, 8080),
        ({"existingConfigMap": "mine", "stateful": False, "existingConfig": {"port": 9091}}, 9091),
    ],
)
def test_the_port_is_the_configurations(more, port):
    rendered = render(more)

    assert rendered.container["ports"] == [{"name": "http", "containerPort": port, "protocol": "TCP"}]
    assert {
        rendered.container[it]["httpGet"]["port"] for it in ("startupProbe", "livenessProbe", "readinessProbe")
    } == {"http"}
