"""The wrapper around moto's SQS sees to it that requests come one by one, and that long polls end when they should."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.sqs.models import sqs_backends

from outboard.demo.aws_server import LONGEST_POLL, OneAtATime, forget_expired


class Queue:
    """A WSGI application that stands for moto: SendMessage puts a message in, ReceiveMessage takes all out."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.waits: list[int] = []
        self.overlaps = 0
        self._busy = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.overlaps += self._busy
        self._busy = True
        call = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        answer: dict[str, Any] = {}
        if environ["HTTP_X_AMZ_TARGET"].endswith("SendMessage"):
            time.sleep(0.002)
            self.messages.append(call["MessageBody"])
        else:
            self.waits.append(call["WaitTimeSeconds"])
            answer = {"Messages": self.messages} if self.messages else {}
            self.messages = []
        self._busy = False
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.0")])
        return [json.dumps(answer).encode()]


def request(application: OneAtATime, operation: str, **call: Any) -> dict[str, Any]:
    body = json.dumps({"QueueUrl": "q"} | call).encode()
    environ: dict[str, Any] = {
        "HTTP_X_AMZ_TARGET": f"AmazonSQS.{operation}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    statuses: list[str] = []

    def start_response(status: str, *_rest: Any) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda _data: None

    content = b"".join(application(environ, start_response))
    assert statuses == ["200 OK"]
    answer: dict[str, Any] = json.loads(content)
    return answer


def test_requests_never_overlap() -> None:
    queue = Queue()
    application = OneAtATime(queue)
    threads = [
        threading.Thread(target=request, args=(application, "SendMessage"), kwargs={"MessageBody": str(number)})
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (queue.overlaps, len(queue.messages)) == (0, 8)


def test_a_send_ends_a_long_poll_at_once() -> None:
    application = OneAtATime(Queue())
    sender = threading.Timer(0.03, request, (application, "SendMessage"), {"MessageBody": "hello"})
    sender.start()
    start = time.monotonic()

    answer = request(application, "ReceiveMessage", WaitTimeSeconds=20)

    sender.join()
    assert answer == {"Messages": ["hello"]}
    assert time.monotonic() - start < LONGEST_POLL


def test_the_server_behind_never_waits_itself_and_is_refreshed_before_each_look() -> None:
    queue = Queue()
    queue.messages = ["hello"]
    refreshed: list[int] = []

    request(OneAtATime(queue, lambda: refreshed.append(len(queue.waits))), "ReceiveMessage", WaitTimeSeconds=20)

    assert (queue.waits, refreshed) == ([0], [0])


def test_a_short_poll_of_an_empty_queue_is_answered_at_once() -> None:
    queue = Queue()

    answer = request(OneAtATime(queue), "ReceiveMessage")

    assert (answer, queue.waits) == ({}, [0])


def test_messages_of_a_group_whose_visibility_ran_out_come_back_in_order() -> None:
    backend = sqs_backends["123456789012"]["eu-west-1"]
    backend.create_queue("group.fifo", None, FifoQueue="true", VisibilityTimeout="30")
    for number in (1, 2):
        backend.send_message("group.fifo", f"message {number}", deduplication_id=str(number), group_id="a")
    backend.receive_message("group.fifo", 10, 0, 30)
    for message in backend.queues["group.fifo"].pending_messages:
        message.visible_at = 0

    forget_expired()
    bodies = [message.body for message in backend.receive_message("group.fifo", 10, 0, 30)]

    backend.delete_queue("group.fifo")
    assert bodies == ["message 1", "message 2"]
