"""What is made from the chart's own files: its values' schema and its README. `python -m helm.generate` writes both."""
