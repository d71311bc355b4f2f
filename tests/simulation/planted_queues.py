"""Knows bugs of queues worth finding: feeds that break one promise each, put in the place of the real one."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence

from outboard.core.records import Record
from outboard.sources.sqs.feed import Desk, SqsFeed
from outboard.sources.sqs.groups import LiveGroups
from tests.simulation.deployment import Parts


@dataclasses.dataclass(frozen=True, slots=True)
class Bug:
    """Parts of which one is faulty, and words of the sentence in which that must be found."""

    parts: Parts
    sentence: str


class Faulty:
    """The real feed with the bugs that its subclasses plant; on its own it has none."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.real = SqsFeed(desk)

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        return await self.real.read(limit, until)

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        await self.real.settle(delivered, returned)

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:
        return self.real.lapsed(records)

    async def give_up(self, records: Sequence[Record], reason: object) -> None:
        await self.real.settle((), records)

    async def release(self, records: Sequence[Record]) -> None:
        await self.real.release(records)

    def blocked(self, records: Sequence[Record]) -> None:
        self.real.blocked(records)

    def stop(self) -> None:
        self.real.stop()


def handles(records: Sequence[Record]) -> list[str]:
    return [str(record.token) for record in records]


class DeletesBeforeInvoke(Faulty):
    """The message is gone when the function fails, or the process dies."""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        if records:
            await self.desk.receipts.delete(handles(records))
        return records


class DeletesOnError(Faulty):
    """What the function failed is deleted with the rest."""

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        await self.real.settle([*delivered, *returned], ())


class SharesGroups(Faulty):
    """Nothing is kept invisible, and pollers do not know of each other's groups."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(dataclasses.replace(desk, groups=LiveGroups()))

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        self.desk.receipts.leave(handles(records or ()))
        return records

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:
        return ()


class ForgetsOnStop(Faulty):
    """What was received and not sent stays invisible."""

    async def release(self, records: Sequence[Record]) -> None:
        self.desk.receipts.leave(handles(records))


class CutsReceivesOff(Faulty):
    """A stop abandons the receive that is under way, and SQS hands its messages to nobody."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._stopped = asyncio.Event()

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self.real.read(limit, until), name="reading")
            stop = group.create_task(self._stopped.wait(), name="stop")
            await asyncio.wait({reading, stop}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            reading.cancel()
        return None if reading.cancelled() else reading.result()

    def stop(self) -> None:
        self._stopped.set()
        self.real.stop()


class OverstaysWindow(Faulty):
    """A batch that could be sent waits for one more record."""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        if records:
            await asyncio.sleep(3.0)
        return records


class ReadsAhead(Faulty):
    """Receives for the next batch before this one is invoked."""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        if records and until is None:
            await self.desk.queue.receive(10, 0, None)
        return records


class Reorders(Faulty):
    """Sends the newest first."""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        return records and list(reversed(records))


QUEUE_BUGS: Mapping[str, Bug] = {
    "delete before invoke": Bug(Parts(sqs_feed=DeletesBeforeInvoke), "without a success reported to it"),
    "delete on error": Bug(Parts(sqs_feed=DeletesOnError), "without a success reported to it"),
    "two live batches of one FIFO group": Bug(Parts(sqs_feed=SharesGroups), "was at work on it"),
    "a received message forgotten on stop": Bug(Parts(sqs_feed=ForgetsOnStop), "invisible until"),
    "a receive cut off on stop": Bug(Parts(sqs_feed=CutsReceivesOff), "invisible until"),
    "a window overstayed": Bug(Parts(sqs_feed=OverstaysWindow), "s late"),
    "reading ahead": Bug(Parts(sqs_feed=ReadsAhead), "and never sent it"),
    "newest first": Bug(Parts(sqs_feed=Reorders), "out of order"),
}
