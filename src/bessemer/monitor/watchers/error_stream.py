"""What the detectors of river have in common: the stream of errors, what is remembered of it, and the test."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.labelled import NO_ERRORS, known_errors, labelled, moment
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.stats.latest_rise import Rise, latest_rise

#: So many errors are remembered, a bit each; when there are more, the older half goes.
MOST = 65_536
_MARKS = 128


class RiverDetector(Protocol):
    """What river calls a drift detector; it begins anew by itself after an alarm."""

    @property
    def drift_detected(self) -> bool: ...

    def update(self, x: int) -> None: ...


class Tail:
    """The last errors of a stream, and a detector that has seen those from `begin` on.

    bits: errors, 0 or 1. begin: where the detector began anew. alarm: where it alarmed last, None where that is
    forgotten. marks: places with times at or before which their labels came, the oldest first. Places are of `bits`.

    What it is depends on the errors alone, not on the pieces in which they came: a detector is never stored, but made
    of the bits again.
    """

    def __init__(self, detector: Any, memory: Mapping[str, Any]) -> None:
        self._made = detector
        packed = np.frombuffer(base64.b64decode(memory.get("bits", "")), dtype=np.uint8)
        self.bits: list[int] = np.unpackbits(packed)[: memory.get("length", 0)].tolist()
        self.begin: int = memory.get("begin", 0)
        self.alarm: int | None = memory.get("alarm")
        self.marks: list[list[int]] = [list(mark) for mark in memory.get("marks", [])]
        self._again()

    def add(self, errors: Iterable[int], time: int) -> None:
        """Go on. time: before or at which these labels came, microseconds since 1970."""
        self.marks = [*self.marks, [len(self.bits), time]]
        if len(self.marks) > _MARKS:
            self.marks = self.marks[::2]
        for error in errors:
            self.bits.append(int(error))
            self._step(len(self.bits) - 1)
            if len(self.bits) >= MOST:
                self._forget(MOST // 2)

    def memory(self) -> dict[str, Any]:
        packed = np.packbits(np.array(self.bits, dtype=np.uint8))
        return {
            "bits": base64.b64encode(packed.tobytes()).decode(),
            "length": len(self.bits),
            "begin": self.begin,
            "alarm": self.alarm,
            "marks": self.marks,
        }

    def since(self, labels: int) -> str | None:
        """A time at or before which the last so many labels began to come."""
        place = len(self.bits) - labels
        times = [time for at, time in self.marks if at <= place]
        return moment(times[-1]) if times else None

    def _again(self) -> None:
        self._detector: RiverDetector = self._made()
        for place in range(self.begin, len(self.bits)):
            self._step(place)

    def _step(self, place: int) -> None:
        self._detector.update(self.bits[place])
        if self._detector.drift_detected:
            self.begin, self.alarm = place + 1, place

    def _forget(self, many: int) -> None:
        self.bits = self.bits[many:]
        self.marks = [[max(0, at - many), time] for at, time in self.marks]
        while len(self.marks) > 1 and self.marks[1][0] == 0:
            del self.marks[0]
        self.alarm = None if self.alarm is None or self.alarm < many else self.alarm - many
        seen = self.begin < many
        self.begin = max(0, self.begin - many)
        if seen:
            self._again()


class ErrorStream:
    """A watcher of the errors in the order in which labels came, by a detector of river.

    Those detectors compare a stream with its own past and say yes or no, without a probability. Their alarm is the
    occasion of an exact test, whose p-value is what counts: whether the last errors are more than those before.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind] = "concept"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True  # labels come also while nothing is asked
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def detector(self) -> RiverDetector:
        """A new one, as the settings say."""
        raise NotImplementedError

    def watch(self, watched: Watched) -> Said:
        known = known_errors(watched.reference, watched.model.task)
        if known is None:
            return Said(figures={"why": NO_ERRORS}, memory=watched.memory)
        settings = self._settings.model_dump(mode="json")
        memory = watched.memory if watched.memory.get("settings") == settings else {}
        tail, rows = Tail(self.detector, memory), 0
        for some in labelled(watched, known):
            tail.add(some.wrong.astype(np.int64).tolist(), int(some.times[0]) if len(some.times) else 0)
            rows += len(some.wrong)
        kept = {**tail.memory(), "settings": settings}
        rise = latest_rise(tail.bits) if tail.alarm is not None else None
        figures = {"labels": rows, "remembered": len(tail.bits), "alarm": tail.alarm is not None}
        if not rows:
            return Said(figures=figures, memory=kept)
        test = self._test(rise, tail)
        return Said((test,), {**figures, **_figures(rise, tail)}, kept, {"settings": settings})

    def _test(self, rise: Rise | None, tail: Tail) -> Test:
        named = (self.name, "error", self.kind, "rise of the error rate")
        if rise is None:
            return Test(*named, 0.0, "the error rate is as before", 1.0, of="output")
        now, before = rise.errors / rise.labels, rise.errors_before / rise.before
        text = (
            f"of the last {rise.labels:,} labels {now:.1%} were wrong (since {tail.since(rise.labels)}), "
            f"{before:.1%} of the {rise.before:,} before"
        )
        return Test(*named, now - before, text, rise.p_value, rise.critical, "output")


def _figures(rise: Rise | None, tail: Tail) -> dict[str, Any]:
    if rise is None:
        return {}
    return {
        "since": tail.since(rise.labels),
        "rate_since": rise.errors / rise.labels,
        "rate_before": rise.errors_before / rise.before,
    }
