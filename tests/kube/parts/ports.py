"""The ports of the parts' pod."""

CONTROL = 8000
IDENTITY = 8001
#: Servers, and the functions behind the Invoke API, by kind of source. A FIFO queue's server is the queue's.
SOURCES = {"queue": 9324, "stream": 4567, "topic": 9092}
FUNCTIONS = {"queue": 9101, "fifo": 9102, "stream": 9103, "topic": 9104}
