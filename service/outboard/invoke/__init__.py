"""Lambda's Invoke API, or anything that speaks it."""
