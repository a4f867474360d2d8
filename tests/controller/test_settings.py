"""What the environment and the policy may say about the process."""

from __future__ import annotations

import pytest

from controller.settings import address, settings
from domain.errors import Misconfigured


def test_the_seed_comes_from_the_environment() -> None:
    """Nothing said: each run has its own."""
    assert settings({}).seed is None
    assert settings({"TRIMTAB_SEED": "7"}).seed == 7


@pytest.mark.parametrize("text", ["-1", "1.5", "seven", "٧", "9" * 19])
def test_a_seed_that_is_none_is_refused(text: str) -> None:
    """The variable is named."""
    with pytest.raises(Misconfigured, match="TRIMTAB_SEED"):
        settings({"TRIMTAB_SEED": text})


def test_addresses() -> None:
    """IPv6 has brackets in the policy and none for the socket; no host means loopback."""
    assert address("0.0.0.0:8080") == ("0.0.0.0", 8080)
    assert address("[::1]:0") == ("::1", 0)
    assert address(":8080") == ("127.0.0.1", 8080)


@pytest.mark.parametrize("bind", ["localhost", "localhost:http", "localhost:70000", ""])
def test_an_address_that_is_none_is_refused(bind: str) -> None:
    """The field is named."""
    with pytest.raises(Misconfigured, match=r"server\.bind"):
        address(bind)
