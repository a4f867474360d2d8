"""What should be tried next? Pure skills behind one port; `python -m optimizers` speaks them as JSON lines."""
