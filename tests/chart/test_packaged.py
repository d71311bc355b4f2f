"""What is committed and packaged: generated files are current, versions agree, nothing is packaged that is not needed."""

import re
import tarfile

import helm_python
import jsonschema
import pytest
import yaml
from helm.generate import values as comments
from helm.generate.__main__ import generated

import outboard
from outboard.config.loading import parse
from tests.chart.rendering import CHART, render

METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())


@pytest.mark.parametrize("path", generated(), ids=lambda it: it.name)
def test_the_generated_files_are_current(path):
    """If not: `make generate`."""
    assert path.read_text() == generated()[path]


def test_the_schema_is_one_of_draft_07():
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())

    jsonschema.Draft7Validator.check_schema(schema)
    references = re.findall(r'"\$ref": "#/definitions/([^"]+)"', (CHART / "values.schema.json").read_text())
    assert set(references) <= schema["definitions"].keys()
    assert references


def test_every_value_is_described_by_a_sentence():
    read = comments.read((CHART / "values.yaml").read_text())

    described = {value.name: value.description for top in read for value in top.all() if value.description}
    assert [name for name, text in described.items() if not text.endswith(".")] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("replicas: 1\n", "replicas has no description; write `# -- ...` above it"),
        ("# Pods.\nreplicas: 1\n", "the comment of replicas does not begin with `# -- `: # Pods."),
        ("# -- A.\na:\n  # -- B.\n  b: 1\n  c: 2\n", "a.c has no description; write `# -- ...` above it"),
    ],
)
def test_a_value_without_a_description_is_refused(text, problem):
    with pytest.raises(comments.CommentError) as caught:
        comments.read(text)

    assert str(caught.value) == problem


def test_the_chart_has_the_version_of_what_it_installs():
    assert METADATA["appVersion"] == outboard.__version__
    assert METADATA["kubeVersion"] == ">=1.27.0-0"


def test_what_the_readme_has_one_write_can_be_installed():
    first, *_ = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)

    rendered = render(yaml.safe_load(first))

    assert parse({"outboard.yaml": rendered.configuration}).problems == ()
    assert rendered.workload["kind"] == "Deployment"


def test_the_package_holds_the_chart_alone(tmp_path):
    made = helm_python.package(str(CHART), destination=str(tmp_path))

    with tarfile.open(made) as archive:
        names = {it.removeprefix("outboard/") for it in archive.getnames()}
    assert {it for it in names if not it.startswith("templates/")} == {
        ".helmignore",
        "Chart.yaml",
        "README.md",
        "values.schema.json",
        "values.yaml",
    }
