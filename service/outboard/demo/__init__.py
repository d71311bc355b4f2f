"""The whole of Outboard on one machine with no account: an SQS, functions, load, the service itself, and an audit."""
