"""Knows how a call that is not hot is made: by the SDK's own client, made for it; its failures are ours."""

import asyncio
from typing import Any

from outboard.aws.calls import CallFailed, Refused, TimedOut, Unreachable
from outboard.aws.identity import Identity
from outboard.aws.sdk import Sdk

#: Seconds for one call, its credentials not counted.
_PATIENCE = 25.0


class SdkCalls:
    """Calls under the process's own identity, or under a role that it assumes."""

    def __init__(self, sdk: Sdk, role_arn: str | None = None) -> None:
        self._sdk = sdk
        self._role_arn = role_arn

    async def call(self, service: str, region: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """`service` and `operation` by the SDK's names, such as `kafka` and `get_bootstrap_brokers`. The SDK tries
        twice. Raises `CallFailed`.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415 - slow to import

        whose = await Identity(self._sdk, self._role_arn, region).credentials()
        keys = {
            "aws_access_key_id": whose.access_key,
            "aws_secret_access_key": whose.secret_key,
            "aws_session_token": whose.token,
        }
        try:
            async with (
                asyncio.timeout(_PATIENCE),
                self._sdk.chain(region).create_client(service, region_name=region, **keys) as client,
            ):
                answer: dict[str, Any] = await getattr(client, operation)(**parameters)
                return answer
        except ClientError as error:
            raise _refused(error) from error
        except TimeoutError:
            raise TimedOut("Timeout", f"{service} did not answer within {_PATIENCE:g} s") from None
        except CallFailed:
            raise
        except Exception as error:
            # Endpoints that are none, answers that nobody can read: the SDK has no class for all of them.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise Unreachable(type(error).__name__, f"{service} did not answer: {reason}") from error


def _refused(error: Any) -> Refused:
    said, about = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    status = int(about.get("HTTPStatusCode", 0))
    # MSK's words come in lower case.
    message = said.get("Message") or error.response.get("message") or f"HTTP status {status}, without a word"
    code = str(said.get("Code") or "Unknown")
    return Refused(status, code, str(message), request_id=str(about.get("RequestId", "")))
