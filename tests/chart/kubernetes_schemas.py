"""Knows whether Kubernetes itself takes an object: by the schemas of each minor version, with no unknown field."""

import json
from functools import cache
from importlib import resources
from typing import Any

import jsonschema
from referencing import Registry, Resource

_BUNDLED = resources.files("kubernetes_validate") / "kubernetes-json-schema"


def wrong(manifest: dict[str, Any], version: str) -> list[str]:
    """What Kubernetes `version` would refuse. LookupError if it knows no such kind.

    The package's own function does the same, but reads a megabyte of definitions for every object.
    """
    try:
        validator = _validator(manifest["kind"], manifest["apiVersion"], version)
    except FileNotFoundError:
        raise LookupError(f"Kubernetes {version} has no {manifest['kind']} of {manifest['apiVersion']}") from None
    return [f"{'/'.join(map(str, it.absolute_path))}: {it.message}" for it in validator.iter_errors(manifest)]


@cache
def _validator(kind: str, api_version: str, version: str) -> jsonschema.Draft202012Validator:
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], number)))
    schema = json.loads((_folder(version) / f"{name}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    text = (_folder(version) / "_definitions.json").read_text()
    return Resource.from_contents(json.loads(text)) @ Registry()


def _folder(version: str) -> Any:
    return _BUNDLED / f"v{version}.0-local-strict"
