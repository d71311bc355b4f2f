"""Measures the service beside the script that a user would otherwise write."""
