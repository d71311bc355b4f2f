"""Knows what of its libraries Outboard never uses, takes it out of the image's environment, and proves what is left.

The Dockerfile runs it, with the interpreter of that environment.
"""
# ruff: noqa: INP001 - a script, and no package

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore
from aiobotocore.session import AioSession
from botocore.endpoint_provider import EndpointProvider

#: The services that Outboard calls, those that the SDK's chain of credentials calls, and those of what is to come:
#: positions in a table, destinations of what failed.
SERVICES = frozenset({"kafka", "kinesis", "lambda", "secretsmanager", "sqs"}) | {"sso", "sso-oidc", "sts"}
TO_COME = frozenset({"dynamodb", "dynamodbstreams", "s3", "sns"})

#: Of `aws login`: only newer SDKs know of it.
IF_THERE = frozenset({"signin"})

_KEPT = SERVICES | TO_COME | IF_THERE
_TESTS = frozenset({"test", "tests"})
_SOURCES = frozenset({".c", ".h", ".pxd", ".pyi", ".pyx"})


def superfluous(packages: Path) -> Iterator[Path]:
    """Folders and files below site-packages that are not needed when Outboard runs."""
    yield from (it for it in _services(packages) if it.name not in _KEPT)
    yield Path(boto3.__file__).parent / "data"  # its resources, which only the demo's load could use
    yield Path(boto3.__file__).parent / "examples"
    for path in packages.rglob("*"):
        is_test = path.is_dir() and path.name in _TESTS
        is_source = path.is_file() and path.suffix in _SOURCES
        if is_test or is_source:
            yield path


def _services(packages: Path) -> Iterator[Path]:
    data = Path(botocore.__file__).parent / "data"
    assert data.is_relative_to(packages), f"the SDK is not of this environment: {data}"
    return (it for it in data.iterdir() if it.is_dir())


def trim(packages: Path) -> None:
    for path in sorted(superfluous(packages)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have gone with its folder


async def prove() -> list[str]:
    """Make a client of each service, and work out its endpoint as Outboard does. Returns the services' names."""
    session = AioSession()
    loader = session.get_component("data_loader")
    there = sorted(session.get_available_services())
    missing = (SERVICES | TO_COME) - set(there)
    assert not missing, f"the SDK has no model of {sorted(missing)}"
    assert set(there) <= _KEPT, f"too many services are left: {there}"
    for service in there:
        keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "example-secret"}
        async with session.create_client(service, region_name="eu-west-1", **keys) as client:
            rules = loader.load_service_model(service, "endpoint-rule-set-1")
            found = EndpointProvider(rules, loader.load_data("partitions"))
            parameters = {"Region": "eu-west-1", "UseFIPS": False, "UseDualStack": False}
            assert client.meta.endpoint_url == found.resolve_endpoint(**parameters).url, service
    return there


def main() -> None:
    trim(Path(next(path for path in sys.path if path.endswith("site-packages"))))
    sys.stdout.write(f"services left: {' '.join(asyncio.run(prove()))}\n")


if __name__ == "__main__":
    main()
