"""The system's clock behind the port."""

from __future__ import annotations

import time


class SystemClock:
    """Unix seconds of this machine."""

    def now(self) -> float:
        return time.time()
