"""The loops that carry out what the core decides: lanes, the mappings that own them, and the supervisor over all."""
