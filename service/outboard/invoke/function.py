"""Knows how a mapping's function is called; what the answer means is `classify`'s."""

from dataclasses import dataclass
from typing import Protocol

from outboard.aws.calls import CallFailed, LambdaService, Unreachable
from outboard.config.mapping import EventSourceMapping
from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable
from outboard.invoke.classify import classify, classify_failure


class Lambdas(Protocol):
    """Where Lambda is reached."""

    @property
    def region(self) -> str | None:
        """The region that the SDK's chain names, if any."""

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService: ...


def function_of(lambdas: Lambdas, mapping: EventSourceMapping) -> "LambdaFunction":
    """A mapping's function, in its ARN's region, else `Aws.Region`, else the SDK's, else the source's. Raises
    `CallFailed` where none of them says.
    """
    target, region = mapping.function, mapping.function_region(lambdas.region)
    if region is None:
        raise Unreachable(
            "NoRegion", "the function's region is not known; set Aws.Region, or name the function by its ARN"
        )
    service = lambdas.lambda_(region, mapping.function_endpoint_url, mapping.function_role_arn)
    return LambdaFunction(service, target.invoke_name, target.qualifier, mapping.invoke_timeout_seconds)


@dataclass(frozen=True, slots=True)
class LambdaFunction:
    """A `Function`. `name` goes into the URL: a name or an ARN without qualifier; `timeout` in seconds."""

    service: LambdaService
    name: str
    qualifier: str | None
    timeout: float

    async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
        try:
            reply = await self.service.invoke(
                self.name, payload, qualifier=self.qualifier, trace=trace, timeout=self.timeout
            )
        except CallFailed as failure:
            return classify_failure(failure, self.timeout)
        return classify(reply)

    async def dry_run(self) -> str | None:
        """Whether the function may be invoked, without running it: None, or a sentence about what is wrong.

        An endpoint that does not know dry runs may run the function, with `{}`.
        """
        try:
            reply = await self.service.invoke(
                self.name, b"{}", qualifier=self.qualifier, invocation_type="DryRun", timeout=30.0
            )
        except CallFailed as failure:
            return failure.message
        if reply.status == 204:
            return None
        match classify(reply):
            case Succeeded() | FunctionFailed():
                return "the endpoint does not know dry runs: it answered as if the function had run"
            case Throttled(reason=reason):
                return f"the dry run was throttled ({reason}); try again"
            case TooLarge():
                return "the endpoint called the dry run's two bytes too large; check FunctionEndpointUrl"
            case Unavailable(error_type=kind, error_message=message):
                return f"the dry run was refused with {kind}: {message}"
