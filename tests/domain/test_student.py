"""The quantile of Student's t against its table."""

from __future__ import annotations

import pytest

from domain.estimate import student

TABLE = {
    3: 3.182,
    4: 2.776,
    6: 2.447,
    10: 2.228,
    20: 2.086,
    60: 2.000,
    1000: 1.962,
}  # NIST/SEMATECH e-Handbook, 1.3.6.7.2


@pytest.mark.parametrize(("freedom", "value"), TABLE.items())
def test_the_quantile_is_that_of_the_table(freedom: int, value: float) -> None:
    """Within 1 %; below three degrees of freedom it is that of three."""
    assert student(freedom) == pytest.approx(value, rel=0.01)
    assert student(1) == student(3)
