"""What decides: synchronous, clock-free and without I/O; `now` is a parameter and every answer is a value."""
