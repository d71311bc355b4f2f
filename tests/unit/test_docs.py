"""What the pages show can be used: their configurations load, their links lead somewhere, their examples agree."""

import re
import textwrap
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from outboard import __version__
from outboard.config.loading import parse
from outboard.config.models import Configuration, Shutdown
from outboard.observe.catalogue import METRICS

_REPOSITORY = Path(__file__).resolve().parents[2]
_PAGES = [
    *sorted(_REPOSITORY.glob("*.md")),
    *sorted((_REPOSITORY / "docs").glob("*.md")),
    *sorted((_REPOSITORY / "helm").glob("*.md")),
]
_EXAMPLES = _REPOSITORY / "docs" / "examples"
_OPERATING = _REPOSITORY / "docs" / "operating.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SELECTOR = re.compile(r"\b(outboard_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')

_METRICS = {metric.full_name: metric for metric in METRICS}
_FIELDS = {field.alias or name for name, field in Configuration.model_fields.items()}

#: Seconds that a supervisor gives the process beyond its drain.
_CLOSING = 15


def _name(page: Path) -> str:
    return str(page.relative_to(_REPOSITORY))


def _configuration(text: str) -> str | None:
    """The configuration that a YAML block is, chart values and lists of mappings included; None if it is none, or shows
    only some fields of a mapping.
    """
    value = yaml.safe_load(text)
    if isinstance(value, list):
        value = {"EventSourceMappings": value}
    value = value.get("config", value) if isinstance(value, dict) else {}
    mappings = value.get("EventSourceMappings", [])
    if not value.keys() & _FIELDS or not all("FunctionName" in it for it in mappings):
        return None
    return yaml.safe_dump(value)


def _configurations() -> Iterator[tuple[str, str]]:
    for page in _PAGES:
        for language, text in _BLOCK.findall(page.read_text()):
            found = _configuration(textwrap.dedent(text)) if language == "yaml" else None
            if found is not None:
                yield _name(page), found


def _anchors(page: Path) -> set[str]:
    """Those that GitHub gives a page's headings; the second of one name ends in -1."""
    seen: dict[str, int] = {}
    anchors = set()
    for heading in _HEADING.findall(_BLOCK.sub("", page.read_text())):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen[plain] = seen.get(plain, -1) + 1
        anchors.add(f"{plain}-{count}" if count else plain)
    return anchors


def _rules() -> list[dict[str, Any]]:
    """The alerts that can be pasted."""
    blocks = [text for language, text in _BLOCK.findall(_OPERATING.read_text()) if language == "yaml"]
    [document] = [it for it in map(yaml.safe_load, blocks) if "groups" in it]
    return [rule for group in document["groups"] for rule in group["rules"]]


def _unit() -> ConfigParser:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(_EXAMPLES / "outboard.service")
    return unit


def test_every_page_that_shows_configurations_is_looked_at() -> None:
    expected = {"README.md", "docs/kubernetes.md", "docs/emulators.md", "docs/migrating.md", "docs/operating.md"}

    assert expected <= {page for page, _ in _configurations()}


@pytest.mark.parametrize(("page", "text"), _configurations())
def test_every_configuration_on_a_page_has_no_problems(page: str, text: str) -> None:
    assert [str(problem) for problem in parse({page: text}).problems] == []


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_BLOCK.sub("", page.read_text())):
        if re.match(r"\w+://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)

    assert broken == []


def test_operators_are_shown_metrics_and_labels_that_exist() -> None:
    wrong = []
    for name, matchers in _SELECTOR.findall(_OPERATING.read_text()):
        metric = _METRICS.get(name)
        if metric is None:
            wrong.append(name)
            continue
        for label, values in _MATCHER.findall(matchers):
            closed = set(metric.labels.get(label, ()))
            if label not in metric.label_names or (closed and not closed >= set(values.split("|"))):
                wrong.append(f"{name}: {label}={values}")

    assert wrong == []


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_all_that_whoever_is_woken_needs(rule: dict[str, Any]) -> None:
    shown = re.findall(r"\{\{ \$labels\.(\w+) ", rule["annotations"]["summary"])
    metrics = [_METRICS[name] for name, _ in _SELECTOR.findall(rule["expr"])]
    known = {"job", "instance"}.union(*(metric.label_names for metric in metrics))

    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(shown) <= known
    assert shown


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in _rules()]

    assert len(set(names)) == len(names) > 10


def test_the_unit_gives_the_drain_its_time() -> None:
    service = _unit()["Service"]

    assert float(service["TimeoutStopSec"]) == Shutdown().drain_timeout_seconds + _CLOSING
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["KillSignal"] == "SIGTERM"


def test_the_unit_confines_the_process_to_its_state() -> None:
    service = _unit()["Service"]

    assert {name: service[name] for name in ("DynamicUser", "ProtectSystem", "NoNewPrivileges")} == {
        "DynamicUser": "yes",
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
    }
    assert service["WorkingDirectory"] == f"%S/{service['StateDirectory']}"
    assert service["CapabilityBoundingSet"] == ""


def test_the_compose_file_gives_the_drain_its_time_and_the_container_nothing_else() -> None:
    document = yaml.safe_load((_EXAMPLES / "compose.yaml").read_text())
    service = document["services"]["outboard"]
    expected = {
        "image": f"outboard:{__version__}",
        "stop_grace_period": f"{Shutdown().drain_timeout_seconds + _CLOSING:g}s",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ports": ["127.0.0.1:8080:8080"],
        "volumes": ["./outboard:/etc/outboard:ro", "state:/var/lib/outboard"],
    }

    assert {name: service[name] for name in expected} == expected
    assert document["volumes"] == {"state": {}}
