"""Makes the chart's values.schema.json and README.md of the comments in values.yaml: `python -m helm.generate`."""
