"""Exact bounds of a share (C. J. Clopper and E. S. Pearson, 1934)."""

from __future__ import annotations

from scipy.stats import beta


def upper95(hits: int, of: int) -> float | None:
    """One-sided upper 95 % bound of a share (Clopper and Pearson, 1934)."""
    if not of:
        return None
    return 1.0 if hits >= of else float(beta.ppf(0.95, hits + 1, of - hits))


def lower95(hits: int, of: int) -> float | None:
    """One-sided lower 95 % bound of a share."""
    if not of:
        return None
    return 0.0 if hits <= 0 else float(beta.ppf(0.05, hits, of - hits + 1))
