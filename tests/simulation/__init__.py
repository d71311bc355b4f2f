"""The real runtime on a loop whose time is virtual, between simulated services that misbehave by seed."""
