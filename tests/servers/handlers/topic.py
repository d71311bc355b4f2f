"""Works on records of a topic; each fails or succeeds by itself, as often as its value says."""

from collections import Counter
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEventRecord

from tests.servers.handlers.ledger import work_on

processor = BatchProcessor(event_type=EventType.Kafka)
_seen: Counter[tuple[str, int, int]] = Counter()  #: by place in the topic, as long as this runtime lives


def record_handler(record: KafkaEventRecord) -> None:
    place = (record.topic, record.partition, record.offset)
    _seen[place] += 1
    work_on((record.decoded_value or b"").decode(), _seen[place])


def handler(event: dict[str, Any], context: Any) -> Any:
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
