"""The C library's allocator: variables of malloc that every program of glibc reads when it starts."""

from __future__ import annotations

from adapters.actuators.layers.variables import Variables
from domain.errors import Misconfigured
from domain.space import SearchSpace
from domain.target import Arm

VARIABLES = {f"libc.{name}": name for name in ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")}


class Libc(Variables):
    """Nothing to find: no key of `place`."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        for parameter in space.parameters:
            if parameter.name not in VARIABLES:
                raise Misconfigured(
                    f"{parameter.name} cannot be written: another allocator is a library of the image (LD_PRELOAD); "
                    "put it there and leave the parameter out"
                )
        super().__init__(space.parameters, VARIABLES)
