"""Indices of Elasticsearch: findings and windows as documents; docs/elastic.md has their fields."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pydantic import Field

from bessemer.core.elastic.bulk import Sent, send
from bessemer.core.elastic.faults import ElasticFault
from bessemer.core.elastic.login import ElasticIndices, connect
from bessemer.core.elastic.setup import ready
from bessemer.monitor.alerts.notice import Notice, NoticeKind
from bessemer.monitor.elastic.documents import documents
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings

#: Notices between two looks at the clock: a window of many columns is some hundred documents.
_AT_ONCE = 10


class ElasticsearchSettings(SinkSettings, ElasticIndices):
    send: list[NoticeKind] = Field(
        ["finding", "resolved", "window", "action"], description="What it gets: everything, by default."
    )


class Elasticsearch:
    """A notice's documents have ids of its own, so that one that comes again replaces itself."""

    Settings = ElasticsearchSettings

    def __init__(self, settings: ElasticsearchSettings) -> None:
        self._settings = settings
        self._client = connect(
            settings.url, settings, settings.timeout, retries=0
        )  # it is tried again by others
        self._ready = False

    def send(self, notices: Sequence[Notice]) -> None:
        until = time.monotonic() + self._settings.timeout
        for done in range(0, len(notices), _AT_ONCE):
            if time.monotonic() >= until:
                raise SinkFault(
                    f"Elasticsearch has not taken all within {self._settings.timeout:g} s", delivered=done
                )
            self._deliver(notices[done : done + _AT_ONCE], done)

    def _deliver(self, notices: Sequence[Notice], done: int) -> None:
        try:
            if not self._ready:
                ready(self._client, self._settings.prefix)
                self._ready = True
            if self._sent(notices).refused:
                self._one_by_one(notices, done)
        except ElasticFault as fault:
            raise SinkFault(fault.what, fix=fault.fix, permanent=not fault.passes, delivered=done) from None

    def _sent(self, notices: Sequence[Notice]) -> Sent:
        found = (each for notice in notices for each in documents(notice, self._settings.prefix))
        return send(self._client, found, retries=0)

    def _one_by_one(self, notices: Sequence[Notice], before: int) -> None:
        """Find out which notice it was that is refused; the others are there, however often they are sent."""
        for number, notice in enumerate(notices):
            done = self._sent([notice])
            if done.refused:
                raise SinkFault(
                    "Elasticsearch has refused a document",
                    why=done.why,
                    permanent=True,
                    delivered=before + number,
                )
