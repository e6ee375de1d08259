"""Delivery: a thread a receiver, so that one that fails or hangs holds up neither watching nor the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from bessemer.core.errors import BessemerError
from bessemer.monitor.alerts.outbox import Outbox, Waiting
from bessemer.monitor.alerts.receiver import Receiver
from bessemer.monitor.plugins import Sink
from bessemer.monitor.sinks.settings import SinkFault

#: Seconds between two looks: other processes put notices down too.
_EVERY = 5.0
_GRACE = 2.0


class Courier:
    """Takes what waits for one receiver there.

    Args:
        say: is told in a sentence when deliveries begin to fail, when they go well again, and what was refused.

    Raises:
        BessemerError: the receiver's secrets or packages are not there.
    """

    def __init__(
        self, outbox: Outbox, receiver: Receiver, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.receiver = receiver
        self._outbox, self._say = outbox, say
        self._sink: Sink = receiver.open()
        self._failing = False

    def deliver(self) -> int:
        """Deliver all that is due; gives how many notices the receiver now has."""
        done = 0
        while batch := self._outbox.claim(self.receiver):
            taken, goes_on = self._hand_over(batch)
            done += taken
            if not goes_on:
                break
        return done

    def _hand_over(self, batch: Sequence[Waiting]) -> tuple[int, bool]:
        """How many it now has, and whether more may be tried at once."""
        fault = self._send(batch)
        taken = len(batch) if fault is None else fault.delivered
        rest = batch[taken:]
        self._outbox.delivered(self.receiver, batch[:taken])
        if fault is None or not rest:
            self._well(fault)
            return taken, True
        if not fault.permanent:
            self._outbox.failed(self.receiver, rest, str(fault), fault.after)
            self._ill(fault)
            return taken, False
        if len(batch) == 1:
            self._outbox.refused(self.receiver, batch[0], str(fault))
            self._say(f"{self.receiver.label}: set aside '{batch[0].notice.title}': {fault}")
            return 0, True
        # one of them is refused: the first goes alone, so that it does not hold up the others
        alone, goes_on = self._hand_over(rest[:1])
        if not goes_on or not rest[1:]:
            return taken + alone, goes_on
        others, goes_on = self._hand_over(rest[1:])
        return taken + alone + others, goes_on

    def _send(self, batch: Sequence[Waiting]) -> SinkFault | None:
        try:
            self._sink.send([each.notice for each in batch])
        except SinkFault as fault:
            return fault
        except Exception as error:  # noqa: BLE001 - a sink of somebody else's: whatever it is, the notice waits
            return SinkFault(f"the sink has failed: {type(error).__name__}: {error}")
        return None

    def _ill(self, fault: SinkFault) -> None:
        if not self._failing:
            self._say(
                f"{self.receiver.label}: {fault}\n  it will be tried again; see `bessemer monitor alerts`"
            )
        self._failing = True

    def _well(self, fault: SinkFault | None) -> None:
        if fault is not None:
            self._say(f"{self.receiver.label}: {fault}")
        elif self._failing:
            self._say(f"{self.receiver.label}: notices are delivered again")
        self._failing = False


class Couriers:
    """One thread for each receiver of an outbox. They end with the process: what is on its way is sent again then.

    Raises:
        BessemerError: a receiver's secrets or packages are not there.
    """

    def __init__(self, outbox: Outbox, say: Callable[[str], None] = lambda _: None) -> None:
        self._say = say
        self._couriers = [Courier(outbox, receiver, say) for receiver in outbox.receivers]
        self._bells = [threading.Event() for _ in self._couriers]

    def start(self) -> None:
        """Deliver from now on, until the process ends."""
        for courier, bell in zip(self._couriers, self._bells, strict=True):
            named = f"bessemer-alerts-{courier.receiver.label}"
            threading.Thread(target=self._run, args=(courier, bell), name=named, daemon=True).start()

    def _run(self, courier: Courier, bell: threading.Event) -> None:
        while True:
            self._deliver(courier)
            bell.wait(_EVERY)
            bell.clear()

    def _deliver(self, courier: Courier) -> None:
        try:
            courier.deliver()
        except BessemerError as error:  # the store: it may be there again later
            self._say(f"{courier.receiver.label}: {error}")

    def ring(self) -> None:
        """There may be something to deliver."""
        for bell in self._bells:
            bell.set()

    def once(self) -> None:
        """Deliver what is due, side by side, and wait for it as long as the slowest may take."""
        threads = []
        for courier in self._couriers:
            threads.append(threading.Thread(target=self._deliver, args=(courier,), daemon=True))
            threads[-1].start()
        slowest = max((courier.receiver.settings.timeout for courier in self._couriers), default=0.0)
        until = time.monotonic() + slowest + _GRACE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
