"""Outboard on a real Kubernetes: the chart and the image as an operator runs them, and what becomes of every message."""
