"""What one reads after an installation."""

from tests.chart.mappings import config, queue, stream, values
from tests.chart.rendering import Cluster, render
from tests.chart.shapes import shape

COMMANDS = """\
  kubectl -n pollers logs deployment/shop-outboard --follow
  kubectl -n pollers port-forward deployment/shop-outboard 9090    # and meanwhile:
  curl http://127.0.0.1:9090/mappings    # or /metrics, or / in a browser
"""


def notes(given, **more):
    return " ".join(render({"config": given, **more}).notes.split())


def test_the_notes_say_what_was_installed_and_how_to_look_at_it():
    text = render(shape("sqs-many")).notes

    assert text.strip().startswith("Outboard 0.1.0 is installed as the deployment shop-outboard in pollers.")
    assert "It has 3 event source mappings (2 enabled)." in text
    assert COMMANDS in text
    assert "`helm test shop -n pollers`" in text


def test_the_notes_say_how_a_change_takes_effect():
    assert "takes effect in the running pods" in notes(config(queue()))
    assert "replaces the pods" in notes(config(queue()), reload="rollout")


def test_the_notes_say_where_positions_are():
    assert "Positions of clicks are kept in a file on the pod's volume" in notes(config(stream()))
    assert "The claim outlives the release." in notes(config(stream()))
    assert "The claim goes with the release." in notes(config(stream()), persistence={"whenDeleted": "Delete"})
    memory = notes(config(stream(), State={"Type": "memory"}))
    assert "Positions of clicks are kept in memory: each start begins again" in memory
    assert "Positions" not in notes(config(queue()))


def test_the_notes_ask_for_a_role_only_if_none_is_named():
    said = "associate one with the service account shop-outboard by Pod Identity"

    assert said in notes(config(queue()))
    assert said not in " ".join(render(shape("irsa")).notes.split())
    assert said not in " ".join(render(shape("web-identity")).notes.split())


def test_the_notes_warn():
    assert "WARNING" not in notes(config(queue()))
    assert "WARNING: no memory limit is set" in notes(config(queue()), resources={"limits": {"memory": None}})
    assert "WARNING: no memory limit is set" in notes(config(queue()), resources=None)
    without = render(values(queue(), keda={"enabled": True, "renderMode": "skipIfMissing"}), Cluster())
    assert "WARNING: the cluster does not know keda.sh/v1alpha1" in without.notes


def test_the_notes_name_a_configuration_that_somebody_else_keeps():
    text = render({"existingConfigMap": "mine", "stateful": False}).notes

    assert "It reads its configuration from the ConfigMap mine." in text
