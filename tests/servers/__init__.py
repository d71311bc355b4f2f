"""Real servers, and one scripted one, that tests and benches start for themselves and always stop again."""
