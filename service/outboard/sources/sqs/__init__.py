"""SQS, standard and FIFO."""

from outboard.sources.sqs.source import SqsSource

__all__ = ["SqsSource"]
