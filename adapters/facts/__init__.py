"""Collectors of facts: what they read of a target and its node, and what two samples of it say."""
