"""Situations with a known bottleneck on real servers, and whether the diagnosis names it."""
