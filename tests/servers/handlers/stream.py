"""Works on records of a stream; each fails or succeeds by itself, as often as its data says."""

from collections import Counter
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord

from tests.servers.handlers.ledger import work_on

processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
_seen: Counter[str] = Counter()  #: by sequence number, as long as this runtime lives


def record_handler(record: KinesisStreamRecord) -> None:
    _seen[record.kinesis.sequence_number] += 1
    work_on(record.kinesis.data_as_text(), _seen[record.kinesis.sequence_number])


def handler(event: dict[str, Any], context: Any) -> Any:
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
