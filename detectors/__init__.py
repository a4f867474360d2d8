"""Is this series worse than its own past? Pure skills behind one port; `python -m detectors` speaks JSON lines."""
