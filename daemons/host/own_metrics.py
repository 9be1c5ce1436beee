"""Each program shows its own metrics, and not those of all whose modules supervisord has loaded."""

from __future__ import annotations

import sys

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from daemons.process.program_list import PROGRAMS

SHARED = "shared"

Metric = Counter | Gauge | Histogram

_metrics: dict[str, set[Metric]] = {}  # by the module of the program that has them, and those that are shared


def find_metrics() -> None:
    """Find out whose metrics those of the loaded modules are. It looks at much, which a fork would no longer share."""
    _metrics.update({module: set() for module in (SHARED, *(program.module for program in PROGRAMS))})
    for name, loaded in list(sys.modules.items()):
        if name.startswith(("core.", "daemons.")):
            program = ".".join(name.split(".")[:2])
            _metrics[program if program in _metrics else SHARED].update(
                value for value in vars(loaded).values() if type(value) in (Counter, Gauge, Histogram)
            )


def forget_metrics_of_others(module: str) -> None:
    """Have this fork, which is to be the program of this module, show nothing at 0 that only others measure."""
    for metric in set[Metric]().union(*_metrics.values()) - _metrics[SHARED] - _metrics[module]:
        REGISTRY.unregister(metric)
