"""The image keeps the SDK's models of just those services that the code calls, directly or for its credentials."""

import ast
from collections.abc import Iterator

from image.trim import SERVICES

from tests.servers.tools import REPOSITORY

#: What takes a service's name first.
_CALLS = frozenset({"call", "configured", "create_client", "resolve", "Protocol", "_signed"})

#: Called by the SDK itself, for somebody who has logged in by AWS's identity centre.
_LOGINS = frozenset({"sso", "sso-oidc"})


def _services_called() -> Iterator[str]:
    """Of all modules but the demo's, which has no place in the image."""
    package = REPOSITORY / "service" / "outboard"
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] != "demo":
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(
                        func=ast.Attribute(attr=name) | ast.Name(id=name), args=[ast.Constant(value=str(service)), *_]
                    ) if (
                        name in _CALLS and service.islower()
                    ):  # operations are not, and a client bound to a service takes them first
                        yield service


def test_the_image_has_the_model_of_each_service_that_is_called_and_of_no_other() -> None:
    assert frozenset(_services_called()) == SERVICES - _LOGINS
