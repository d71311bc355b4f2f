"""What a test function does to a message: the message's JSON body says so, and a file keeps what was done.

A body is `{"n": number, "fail_times": k, "seconds": s}`; the message fails while it was received at most `k` times.
"""

import json
import os
import time
from pathlib import Path
from typing import Any


class NotYet(Exception):
    """This message is to fail once more."""


def work_on(body: str, receive_count: int) -> None:
    """Do what `body` asks for and write it down. Raises NotYet."""
    message: dict[str, Any] = json.loads(body)
    time.sleep(message.get("seconds", 0))
    failed = receive_count <= message.get("fail_times", 0)
    line = json.dumps({**message, "at": time.time(), "receive_count": receive_count, "failed": failed})
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(line + "\n")  # one short write in append mode: whole, whoever else writes
    if failed:
        raise NotYet(f"message {message['n']} was received {receive_count} times")
