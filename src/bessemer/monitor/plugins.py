"""The detectors and watchers, and what each kind has in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.core.spec import Spec
    from bessemer.monitor.finding import Kind, Test
    from bessemer.monitor.reference import Reference
    from bessemer.monitor.watched import Said, Watched
    from bessemer.monitor.window import Window


class Detector(Protocol):
    """Compares a window with the reference, column by column."""

    kind: ClassVar[Kind]

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        """A test for each column that it applies to, whatever comes out: what is found is decided over all of them."""


class Watcher(Protocol):
    """Looks at the rows of a prediction log, window after window, and may remember what it has seen.

    again: whether it also looks at a window again when labels may have come. Settings: what the project file may say.
    """

    kind: ClassVar[Kind]
    again: ClassVar[bool]
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def watch(self, watched: Watched) -> Said:
        """What it says of a window. It must not change anything: a kill may make it look at a window twice."""


DETECTORS: PluginTable[Detector] = PluginTable(
    "bessemer.detectors",
    {
        "schema": PluginRef(
            "bessemer.monitor.detectors.schema:Schema",
            summary="columns that are absent, and values that are not of their column's type",
        ),
        "missing": PluginRef(
            "bessemer.monitor.detectors.missing:Missing", summary="more or fewer missing values than before"
        ),
        "unseen": PluginRef(
            "bessemer.monitor.detectors.unseen:Unseen", summary="texts that training did not have"
        ),
        "range": PluginRef(
            "bessemer.monitor.detectors.range:Range", summary="numbers outside the range of training"
        ),
        "chi_square": PluginRef(
            "bessemer.monitor.detectors.chi_square:ChiSquare",
            summary="the shares of values, or of groups of numbers",
        ),
        "kolmogorov_smirnov": PluginRef(
            "bessemer.monitor.detectors.kolmogorov_smirnov:KolmogorovSmirnov",
            summary="the greatest distance of the cumulative distributions of numbers",
        ),
        "correlation": PluginRef(
            "bessemer.monitor.detectors.correlation:Correlation",
            summary="pairs of numbers that go together otherwise than before",
        ),
        "psi": PluginRef(
            "bessemer.monitor.detectors.psi:Psi",
            summary="the population stability index, its bias taken off",
        ),
        "jensen_shannon": PluginRef(
            "bessemer.monitor.detectors.jensen_shannon:JensenShannon",
            summary="the Jensen-Shannon distance",
        ),
        "wasserstein": PluginRef(
            "bessemer.monitor.detectors.wasserstein:Wasserstein",
            summary="how far numbers have moved, in standard deviations",
        ),
    },
)

#: What is watched without being asked for: tests of the whole distribution of a column, and what they cannot see.
USUAL = ("schema", "missing", "unseen", "range", "chi_square", "kolmogorov_smirnov", "correlation")

WATCHERS: PluginTable[Watcher] = PluginTable("bessemer.watchers", {})

#: Watched in a prediction log without being asked for.
USUAL_WATCHERS: tuple[str, ...] = ()
