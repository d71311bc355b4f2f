"""Knows how a mapping's function is called; what the answer means is `classify`'s."""

from dataclasses import dataclass

from outboard.aws.calls import CallFailed, LambdaService
from outboard.core.outcome import Outcome
from outboard.invoke.classify import classify, classify_failure


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
        """Whether the function may be invoked, without running it: None, or a sentence about what is wrong."""
        try:
            reply = await self.service.invoke(
                self.name, b"{}", qualifier=self.qualifier, invocation_type="DryRun", timeout=30.0
            )
        except CallFailed as failure:
            return failure.message
        if reply.status == 204:
            return None
        outcome = classify(reply)
        return f"a dry run was answered with HTTP status {reply.status}: {getattr(outcome, 'error_message', outcome)}"
