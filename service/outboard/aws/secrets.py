"""Knows how a reference to a secret is followed: to a file, a folder, the environment or Secrets Manager.

No sentence here, and no exception behind one, holds anything of what a secret says.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from outboard.aws.asking import SdkCalls
from outboard.aws.calls import CallFailed

#: From the ARN of a secret to what it says. Raises `CallFailed`.
SecretManager = Callable[[str], Awaitable[str | bytes]]

#: Bytes that a file may have; Secrets Manager's secrets have 64 KiB at most, and some bundles of CAs are larger.
_MOST = 1_048_576

_REMEDIES = {
    "ResourceNotFoundException": "create it, or correct the reference",
    "AccessDeniedException": "grant secretsmanager:GetSecretValue on it, and kms:Decrypt on its key",
    "DecryptionFailure": "grant kms:Decrypt on its key",
    "InvalidRequestException": "restore it if it was deleted",
}


def secret_manager(calls: SdkCalls) -> SecretManager:
    """Secrets Manager itself, each secret in the region of its ARN."""

    async def ask(arn: str) -> str | bytes:
        answer = await calls.call("secretsmanager", arn.split(":")[3], "get_secret_value", SecretId=arn)
        said: str | bytes = answer["SecretString"] if "SecretString" in answer else answer.get("SecretBinary", b"")
        return said

    return ask


async def read_secret(
    reference: str, secret_manager: SecretManager, environ: Mapping[str, str] = os.environ
) -> Mapping[str, str] | str:
    """What `file:///PATH`, `env:NAME` or a Secrets Manager ARN leads to, as it is now: names and values where it is a
    JSON object or a folder of files, else the text itself. Raises `CallFailed` that names the reference.
    """
    if reference.startswith("env:"):
        name = reference.removeprefix("env:")
        if name not in environ:
            raise _failed(reference, f"the environment has no variable {name}", "set it, or correct the reference")
        return _parsed(reference, environ[name])
    if reference.startswith("file://"):
        return await asyncio.to_thread(_from_disk, reference)
    try:
        return _parsed(reference, await secret_manager(reference))
    except CallFailed as failure:
        if failure.code == _BAD:
            raise
        remedy = _REMEDIES.get(failure.code, "see to that, or keep the secret in a file")
        raise _failed(reference, f"{failure.code}: {failure.message}", remedy, code=failure.code) from None


def certificate_in(secret: Mapping[str, str] | str, reference: str) -> str:
    """The certificates, as PEM, of a secret that is one of a CA: `{"certificate": PEM}`, or the PEM alone."""
    if isinstance(secret, str):
        return secret
    if "certificate" not in secret:
        raise _failed(reference, "it has no key certificate", 'write {"certificate": PEM}, or the PEM alone')
    return secret["certificate"]


_BAD = "BadSecret"


def _failed(reference: str, reason: str, remedy: str, code: str = _BAD) -> CallFailed:
    return CallFailed(code, f"the secret {reference} cannot be used: {reason}; {remedy}")


def _from_disk(reference: str) -> Mapping[str, str] | str:
    path = Path(reference.removeprefix("file://"))
    try:
        if not path.is_dir():
            return _parsed(reference, _bytes(reference, path))
        # Kubernetes keeps what it mounts in hidden folders beside the links to it.
        files = [it for it in sorted(path.iterdir()) if not it.name.startswith(".") and it.is_file()]
        found = {it.name: _text(reference, _bytes(reference, it)).rstrip("\r\n") for it in files}
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _failed(reference, reason, "mount it where the process can read it, or correct the reference") from None
    if not found:
        raise _failed(reference, "the folder holds no files", "put one file for each key into it")
    return found


def _bytes(reference: str, path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise _failed(reference, f"{path.name} is larger than {_MOST >> 20} MiB", "correct the reference")
    return content


def _text(reference: str, content: str | bytes) -> str:
    try:
        return content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _failed(reference, "it is not text", "write it as PEM or JSON, in UTF-8") from None


def _parsed(reference: str, content: str | bytes) -> Mapping[str, str] | str:
    text = _text(reference, content).strip()
    if not text:
        raise _failed(reference, "it is empty", "give it a value")
    if not text.startswith("{"):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _failed(reference, "it begins like JSON, and is none", "write it as one JSON object") from None
    if any(isinstance(value, bool) or not isinstance(value, str | int | float) for value in found.values()):
        raise _failed(reference, "it holds other values than text and numbers", "write every value in quotes")
    return {key: str(value) for key, value in found.items()}
