"""Where a fact is told once and becomes a metric, a log line and what the status port shows."""
