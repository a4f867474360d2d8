"""Strategies by name. Each is imported when it is asked for, so that the names cost nothing."""

from __future__ import annotations

from importlib import import_module

from domain.errors import Misconfigured
from domain.ports import Optimizer

_MODULES = {"bayesian": "optimizers.bayesian:Bayesian", "random": "optimizers.random_search:RandomSearch"}
STRATEGIES = tuple(sorted(_MODULES))


def strategy(name: str) -> Optimizer:
    """The strategy of this name. Raises Misconfigured naming the known ones, or what must be installed."""
    if name not in _MODULES:
        raise Misconfigured(f"strategy {name!r} is unknown; known: {', '.join(STRATEGIES)}")
    module, _, factory = _MODULES[name].partition(":")
    try:
        made: Optimizer = getattr(import_module(module), factory)()
    except ImportError as error:
        raise Misconfigured(f"strategy {name!r} needs {error.name}: pip install 'trimtab[optimizer]'") from error
    return made
