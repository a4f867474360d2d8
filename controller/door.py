"""Who may come in: bearer tokens, bounded bodies, and refusals that are counted."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from controller.metrics import Metrics

MOST_BYTES = 1 << 20  # Alertmanager's largest groups are far below; more is no alert
MOST_DISCARDED = (
    16 << 20
)  # read and dropped of a larger body: most clients hear an answer only after they have sent all
BODY_SECONDS = 10.0  # a body that trickles in more slowly holds a connection for nothing


class Refused(HTTPException):
    """A request that leads to nothing; `reason` is the counter's label."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(status, detail, {"WWW-Authenticate": "Bearer"} if status == 401 else None)
        self.reason = reason


def token_check(tokens: Sequence[str], metrics: Metrics) -> Callable[[Request], None]:
    """A dependency that lets a request with one of the tokens pass, compared in constant time; else Refused 401."""
    known = [token.encode() for token in tokens]

    def check(request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip().encode("latin-1", "replace")  # headers were bytes, and tokens are UTF-8
        fits = [hmac.compare_digest(given, each) for each in known]
        if scheme.lower() != "bearer" or not any(fits):
            metrics.refused.labels("token").inc()
            raise Refused(401, "token", "send `Authorization: Bearer TOKEN` with a token of the policy's tokens_file")

    return check


async def body(request: Request) -> bytes:
    """The request's body; of a larger one never more than 1 MiB is kept. Refused 413, 408 or 400."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MOST_DISCARDED:
        raise _too_large()
    data, seen = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                seen += len(part)
                if seen <= MOST_BYTES:
                    data += part
                elif seen > MOST_DISCARDED:
                    raise _too_large()
    except TimeoutError:
        raise Refused(408, "slow", f"the body did not arrive within {BODY_SECONDS:g} s") from None
    except ClientDisconnect:
        raise Refused(400, "disconnect", "the client went away") from None
    if seen > MOST_BYTES:
        raise _too_large()
    return bytes(data)


def _too_large() -> Refused:
    return Refused(413, "size", f"the body is larger than {MOST_BYTES} bytes; send smaller groups (max_alerts)")
