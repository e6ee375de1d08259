"""The ranges of a learner's parameters, in Optuna's terms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bessemer.train.params import Param, Tune

#: Values of a range that a grid takes.
_GRID = 3


def tunable(table: Mapping[str, Param]) -> dict[str, Param]:
    """The parameters that a search may change."""
    return {name: param for name, param in table.items() if param.tune is not None}


def distribution(param: Param) -> Any:
    """Optuna's distribution of a tunable parameter."""
    from optuna import distributions

    tune = _range(param)
    if tune.words:
        return distributions.CategoricalDistribution(list(tune.words))
    if param.kind is int:
        return distributions.IntDistribution(int(tune.low), int(tune.high), log=tune.log)
    return distributions.FloatDistribution(tune.low, tune.high, log=tune.log)


def suggest(trial: Any, name: str, param: Param) -> Any:
    """The trial's value of a tunable parameter."""
    tune = _range(param)
    if tune.words:
        return trial.suggest_categorical(name, list(tune.words))
    if param.kind is int:
        return trial.suggest_int(name, int(tune.low), int(tune.high), log=tune.log)
    return trial.suggest_float(name, tune.low, tune.high, log=tune.log)


def inside(param: Param, value: Any) -> Any:
    """The value, moved into the range; None where there is none.

    >>> inside(Param(1.0, float, "", tune=Tune(0.5, 2.0)), 9.0)
    2.0
    """
    tune = _range(param)
    if value is None:
        return None
    if tune.words:
        return value if value in tune.words else None
    return min(max(value, type(value)(tune.low)), type(value)(tune.high))


def levels(param: Param) -> list[Any]:
    """A few values over the range, both ends among them.

    >>> levels(Param(1, int, "", tune=Tune(1, 100, log=True)))
    [1, 10, 100]
    """
    tune = _range(param)
    if tune.words:
        return list(tune.words)
    shares = [i / (_GRID - 1) for i in range(_GRID)]
    if tune.log:
        steps = [math.exp(math.log(tune.low) + share * math.log(tune.high / tune.low)) for share in shares]
    else:
        steps = [tune.low + share * (tune.high - tune.low) for share in shares]
    return [round(v) if param.kind is int else min(max(v, tune.low), tune.high) for v in steps]


def _range(param: Param) -> Tune:
    if param.tune is None:
        raise ValueError("not a tunable parameter")
    return param.tune
