"""What Outboard works with in the cluster: a queue, a stream and a topic server, functions, load, and the audit of it."""
