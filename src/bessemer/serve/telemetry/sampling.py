"""Which requests are traced.

The SDK has samplers of its own; they want a trace id and a context made for every request, which costs more than most
requests' predictions. This decides with a look at one header and one random number, by the same rules.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

_LOG = logging.getLogger("bessemer.serve")

DEFAULT = 0.01
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_FIXED = {"always_on": 1.0, "always_off": 0.0}


@dataclass(frozen=True)
class Sampling:
    """The rule.

    root: the share of requests that is traced, of those without a trace of their own.
    follows: whether the decision of the client counts, where it has made one (W3C Trace Context's flag `sampled`).

    >>> sampling = Sampling(root=0.0, follows=True)
    >>> sampling.wants("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), sampling.wants("")
    (True, False)
    """

    root: float
    follows: bool = True

    def wants(self, parent: str) -> bool:
        """Whether a request with this `traceparent` ('' without one) is traced; a broken one is none."""
        if not parent:
            return random.random() < self.root  # noqa: S311 - a share, not a secret
        found = _PARENT.fullmatch(parent)
        if found is None or (found[1] == "00" and found[4]):
            return random.random() < self.root  # noqa: S311
        if self.follows:
            return bool(int(found[3], 16) & 1)
        return int(found[2][16:], 16) < self.root * 2**64  # as every other service with this ratio decides


def sampling_of(share: float | None, env: Mapping[str, str]) -> Sampling:
    """From the settings, or from OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG where they say nothing.

    >>> sampling_of(None, {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"})
    Sampling(root=0.25, follows=False)
    """
    if share is not None:
        return Sampling(share)
    name = env.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if not name:
        return Sampling(DEFAULT)
    follows, kind = name.startswith("parentbased_"), name.removeprefix("parentbased_")
    if kind in _FIXED:
        return Sampling(_FIXED[kind], follows)
    if kind == "traceidratio":
        return Sampling(_ratio(env.get("OTEL_TRACES_SAMPLER_ARG", "1.0")), follows)
    _LOG.warning("OTEL_TRACES_SAMPLER is '%s', which is not known: %g of requests are traced", name, DEFAULT)
    return Sampling(DEFAULT)


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        _LOG.warning("OTEL_TRACES_SAMPLER_ARG is '%s', not a share: all requests are traced", text)
        return 1.0
    return ratio
