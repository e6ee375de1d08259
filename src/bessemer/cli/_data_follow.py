"""`bessemer data follow`."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bessemer.acquire.streams.lander import Lander
    from bessemer.acquire.streams.options import KafkaSource
    from bessemer.api import Project

#: Seconds between two lines of how far it is.
_LINE = 10.0


@click.command("follow")
@click.argument("source", required=False)
@click.option(
    "--project", type=click.Path(path_type=Path), default=Path(), help="The project file or its folder."
)
@click.option("--for", "seconds", type=float, metavar="SECONDS", help="End after so long; never by default.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object at the end.")
def follow_command(source: str | None, project: Path, seconds: float | None, as_json: bool) -> None:
    """Land the messages of SOURCE, a Kafka topic, as they come, until it is ended (SIGTERM, Ctrl-C).

    Several processes share the partitions. Each message lands once, whichever of them is killed when.
    """
    from contextlib import closing

    from bessemer.acquire.streams.follow import Follower
    from bessemer.acquire.streams.open import client_of, lander_of
    from bessemer.api import Project as Loaded
    from bessemer.cli._console import err, print_json
    from bessemer.core.redaction import remember_environment

    remember_environment()
    loaded = Loaded(project)
    name, options = _topic(loaded, source)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if seconds is not None:
        _end_after(stop, seconds)
    lander = lander_of(
        name, options, loaded.folder, lambda text: err.print(text, markup=False, soft_wrap=True)
    )
    line = _Line(lander)
    client = client_of(name, options, loaded.folder, ends=False)
    err.print(f"landing {options.topic} in {options.land}; end it with Ctrl-C", markup=False, soft_wrap=True)
    with closing(client):
        Follower(client, lander, options, line).run(stop)
    line.show()
    if as_json:
        counts = lander.counts
        told = {
            "rows": counts.rows,
            "poison": counts.poison,
            "tombstones": counts.tombstones,
            "commits": counts.commits,
        }
        print_json({"source": name, "topic": options.topic, **told, "version": lander.table.version})


class _Line:
    """Says now and then how far the lander is."""

    def __init__(self, lander: Lander) -> None:
        self._lander, self._said = lander, time.monotonic()

    def __call__(self, nexts: Mapping[int, int]) -> None:
        if time.monotonic() - self._said >= _LINE:
            self.show()

    def show(self) -> None:
        from bessemer.cli._console import err

        self._said = time.monotonic()
        counts = self._lander.counts
        bad = f", {counts.poison:,} that cannot be read" if counts.poison else ""
        err.print(f"{counts.rows:,} messages in {counts.commits:,} commits{bad}", soft_wrap=True)


def _end_after(stop: Event, seconds: float) -> None:
    from threading import Timer

    timer = Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()


def _topic(project: Project, source: str | None) -> tuple[str, KafkaSource]:
    """The source that is meant: the one named, or the only topic there is.

    Raises:
        UsageError: there is none of the name, or several and none is named.
    """
    from bessemer.acquire.streams.options import KafkaSource
    from bessemer.core.errors import UsageError, did_you_mean

    sources = project.file.sections["acquire"].sources
    topics = {name: options for name, options in sources.items() if isinstance(options, KafkaSource)}
    if source is None and len(topics) == 1:
        return next(iter(topics.items()))
    if source is not None and source in topics:
        return source, topics[source]
    if source is None:
        what = (
            f"{len(topics)} topics in the project file, and none is named"
            if topics
            else "no topic in the project file"
        )
        fix = (
            f"bessemer data follow {next(iter(topics))}"
            if topics
            else "name one under `acquire: {sources: ...}`"
        )
        raise UsageError(what, fix=fix)
    why = "it is a source of another kind" if source in sources else ""
    raise UsageError(f"no topic '{source}' in the project file", why=why, fix=did_you_mean(source, topics))
