"""Quantities: read exactly, written as the API server writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from adapters.actuators.kubernetes.quantity import (
    MOST,
    bytes_of,
    cores,
    cpu_text,
    exact,
    memory_text,
    same,
    units,
    value_of,
)
from domain.errors import Misconfigured


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2.0), (2, 2.0), (0.25, 0.25), ("1e3m", None), ("250000u", 0.25), ("12345678n", 0.012345678)],
)
def test_cores(text: object, value: float | None) -> None:
    """Every suffix that the API server gives out; an exponent beside a suffix is none of its texts."""
    if value is None:
        with pytest.raises(Misconfigured, match="is no quantity"):
            cores(text)
    else:
        assert cores(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512Mi", 512 * 2**20),
        ("1Ei", 2**60),
        ("1E", 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1.5Gi", 3 * 2**29),
        (".5k", 500),
        ("2.", 2),
        ("100m", 1),
        ("0.1Gi", 107374183),
        ("0", 0),
        ("100E", MOST),
        ("9" * 40, MOST),
        ("1e999", MOST),
        ("1e-999", 1),
    ],
)
def test_bytes(text: str, value: int) -> None:
    """A fraction of a byte is a whole one, and what is too large counts as the largest, as for the API server."""
    assert bytes_of(text) == value


NO_TEXTS = [
    "",
    " ",
    "NaN",
    "nan",
    "Infinity",
    "-1",
    "1_000",
    "1ki",
    "1KB",
    "0x10",
    "1 Mi",
    "٣",
    "5e",
    "--1",
    "1i",
    "1e1000",
]
NO_VALUES: tuple[object, ...] = (None, True, [], {"cpu": 1}, float("nan"), float("inf"))


@pytest.mark.parametrize("text", [*NO_TEXTS, *NO_VALUES, "9" * 41])
def test_what_is_no_quantity_is_told(text: object) -> None:
    """With the value that was seen, so that its place can be found."""
    with pytest.raises(Misconfigured, match="is no"):
        exact(text)


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "500m"), (2.0, "2"), (1.5, "1500m"), (0.0, "1m"), (0.0001, "1m"), (0.0004999, "1m")]
)
def test_texts_of_cores(value: float, text: str) -> None:
    """Whole cores plainly, everything else in millicores, and never nothing."""
    assert cpu_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(512 * 2**20, "512Mi"), (1536, "1536"), (2048, "2Ki"), (2**31, "2Gi"), (0, "1"), (100, "100"), (2**60, "1Ei")],
)
def test_texts_of_memory(value: int, text: str) -> None:
    """The largest binary unit without a fraction; plain bytes otherwise."""
    assert memory_text(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 1e30, True])
def test_values_that_are_no_amount_are_refused(value: float) -> None:
    """They would be written as something else."""
    with pytest.raises(Misconfigured, match="is no amount"):
        cpu_text(value)
    with pytest.raises(Misconfigured, match="is no amount"):
        memory_text(value)


@given(st.integers(1, 10**9))
def test_millicores_survive_the_round_trip(counted: int) -> None:
    """What is written is what is read, and reading it again gives the same text."""
    text = cpu_text(counted / 1000)
    assert cores(text) == counted / 1000
    assert units("cpu", text) == counted
    assert cpu_text(cores(text)) == text


@given(st.floats(0, 1e6))
def test_cores_are_rounded_by_less_than_a_millicore(value: float) -> None:
    """Half a millicore at most, but for what would be nothing."""
    assert abs(cores(cpu_text(value)) - value) <= (0.0005 if value >= 0.001 else 0.001) + 1e-9


@given(st.integers(1, 2**53) | st.integers(1, 2**23).map(lambda n: n * 2**20))
def test_bytes_survive_the_round_trip(counted: int) -> None:
    """Each byte counts."""
    assert bytes_of(memory_text(counted)) == counted
    assert value_of("memory", units("memory", memory_text(counted))) == counted


@given(
    st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=6),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]),
)
def test_reading_agrees_with_the_official_client(number: object, suffix: str) -> None:
    """On everything that both of them accept and can hold exactly."""
    text = f"{number:f}{suffix}"
    theirs = float(parse_quantity(text))  # type: ignore[no-untyped-call]
    assert float(exact(text)) == pytest.approx(min(theirs, MOST), rel=1e-12)


@given(st.text(max_size=12) | st.floats() | st.integers() | st.none() | st.booleans())
def test_nothing_else_ever_leaves(text: object) -> None:
    """Whatever stands there: an amount, or Misconfigured."""
    try:
        assert 0 <= bytes_of(text) <= MOST
    except Misconfigured:
        assert same(text, text) is (text == text)


def test_the_same_amount_in_other_words() -> None:
    """The API server rewrites what it is given."""
    assert same("1000m", "1")
    assert same("1024Mi", "1Gi")
    assert not same("1000M", "1Gi")
    assert same("on", "on")
    assert not same("on", "1")


def test_counting_rounds_to_the_asked_side() -> None:
    """What is used is never counted too low, and what is allowed never too high."""
    assert units("cpu", "1500u") == 2
    assert units("cpu", "1500u", down=True) == 1
    assert units("memory", "1500m") == 2
    assert units("memory", "1500m", down=True) == 1
    assert units("cpu", "1e18") == MOST
