"""Tests mirror the rooms; `contracts/` has one suite per port, `journeys/` whole runs."""

import os

# Before anything loads numpy: the suite fills the cores by itself, and threads of small matrices would fight for them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
