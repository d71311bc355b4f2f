"""Knows where partitions begin that the group has no offset for, and sees to it that the group knows it too."""

import asyncio
from collections.abc import Callable, Mapping

from outboard.sources.kafka.consumer import Consumer, Earliest, Latest, Start

#: Seconds for the member that is to give the start, until each member gives that of its own partitions: it may be
#: somebody else's program. And how old what it knows of the group may be by then, which must be much less.
_PATIENCE = 60.0
_FRESH = 15.0


class FirstStart:
    """Where a mapping begins in what the group has no offset for. It outlives the source, which is made anew after each
    failure: what comes after LATEST was begun once, or was not there when it was to be, is read from its beginning.
    """

    def __init__(self, start: Start) -> None:
        self.start = start

    def is_over(self) -> None:
        """Whatever has no offset from now on, the whole of a topic that was made anew included, is new."""
        if isinstance(self.start, Latest):
            self.start = Earliest()


class Beginning:
    """Of one consumer. A topic without any offset is given its start, all partitions at once, by the member that has
    the lowest partition, before anybody reads: LATEST is what was the latest then, whatever crashes later.
    """

    def __init__(self, consumer: Consumer, first: FirstStart) -> None:
        self._consumer = consumer
        self._first_start = first
        self._waiting_since: float | None = None
        self._now = asyncio.get_running_loop().time

    async def positions(
        self, wanted: frozenset[int], assigned: frozenset[int], still: Callable[[], bool]
    ) -> Mapping[int, int] | None:
        """Where to read on in the `wanted` ones of those that are `assigned`; None: that is not known yet, or it is not
        the same generation `still`. Raises `ConsumerError`.
        """
        if not wanted:
            return {}
        asked = self._now()
        known = await self._consumer.committed(wanted)
        if wanted - known.keys():
            topic = await self._consumer.partitions() | assigned
            known = await self._consumer.committed(topic)  # all in one answer: the start is given all at once
            if not known:
                return await self._first(wanted, assigned, topic, lambda: still() and self._now() - asked < _FRESH)
            if unknown := wanted - known.keys():
                # Beside others that have an offset, these were added later: all of them is new.
                known = {**known, **await self._consumer.offsets(unknown, Earliest())}
        self._begun()
        return known

    async def _first(
        self, wanted: frozenset[int], assigned: frozenset[int], topic: frozenset[int], still: Callable[[], bool]
    ) -> Mapping[int, int] | None:
        if self._waiting_since is None:
            self._waiting_since = self._now()
        ours = min(topic) in assigned
        if not ours and self._now() - self._waiting_since < _PATIENCE:
            return None
        found = await self._consumer.offsets(topic if ours else assigned, self._first_start.start)
        if not still():
            return None
        await self._consumer.give_start(found)
        self._begun()
        return {number: found[number] for number in wanted}

    def _begun(self) -> None:
        self._first_start.is_over()
        self._waiting_since = None
