"""What the sinks that write files share: one file, or a folder of parts, that grows and survives a kill.

A file grows in a hidden folder. Every second what it has is flushed, and the state, replaced in one move, says how
long the file is and how far in the source that is. After a kill the file is cut to that length and goes on growing.
When it is finished the state says so first, and then the file takes its place.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from bessemer.core.errors import StoreError
from bessemer.predict.growing import Growing
from bessemer.predict.places import Place, place_of
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.unfinished import DONE, Part, State, all_there, finished, make_room, part_name

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.predict.formats import Format

#: Rows of a part of a folder, where `part_rows` in the target's options does not say another number.
PART_ROWS = 2**20


class Files:
    """Made a sink by a format."""

    ending = ""

    def __init__(self, target: Target, job: Job) -> None:
        self._target, self._job = target, job
        self._format = self.format(target)
        self._part_rows = int(target.options.get("part_rows") or PART_ROWS)
        self._suffix = str(target.options.get("ending") or self.ending)
        self._state = State(job.key)
        self._place: Place | None = None
        self._file: Growing
        self._finished = False
        self._safe_at = time.monotonic()

    def format(self, target: Target) -> Format:
        raise NotImplementedError

    # taking up what is there -------------------------------------------------------------------------
    def open(self) -> Progress:
        self._place = place = place_of(self._target, self._job)
        self._file = Growing(place.scratch)
        done = finished(place) if self._target.folder else None
        state = State.from_json(place.recall())
        if not self._job.restart:
            if done and done[0] == self._job.key and all_there(place, done[1]):
                self._state.parts = done[1]
                return self._complete(sum(part.rows for part in done[1]))
            if state and state.key == self._job.key and self._resume(place, state):
                return self._state.progress
        self._state = State(self._job.key)
        if self._target.folder:
            make_room(place, self._target.where, self._suffix, ours=bool(done or place.recall()))
        self._begin()
        self._remember()
        return self._state.progress

    def _resume(self, place: Place, state: State) -> bool:
        """Go on with an earlier call's work; False where something of it is missing."""
        if not all_there(place, state.parts):
            return False
        if state.sealed:
            self._state = state
            if not self._publish():
                return False
            if state.last:
                self._complete(state.progress.rows)
            return True
        if state.size and place.lasting:
            if not self._file.has(state.size, state.notes):
                return False
            self._state = state
            self._file.open(state.size, state.notes)
            return True
        self._state = state
        self._begin()
        return True

    def _complete(self, rows: int) -> Progress:
        self._state.progress = Progress(rows=rows, complete=True)
        return self._state.progress

    # growing -----------------------------------------------------------------------------------------
    def _begin(self) -> None:
        """Begin a file behind the finished parts."""
        self._state.before = self._state.progress.rows
        self._state.sealed, self._state.size, self._state.notes = "", 0, 0
        self._file.open()
        self._file.append(self._format.head(self._job.schema))
        self._safe_at = time.monotonic()

    def _remember(self) -> None:
        """Make what there is safe, and then say so."""
        assert self._place is not None
        if self._place.lasting:
            self._file.sync()
            self._state.size, self._state.notes = self._file.size, self._file.notes_size
        self._place.remember(self._state.to_json())
        self._safe_at = time.monotonic()

    def write(self, table: pa.Table, progress: Progress) -> None:
        assert self._place is not None
        self._file.append(*self._format.block(table, self._file.size))
        self._state.progress = progress
        if self._target.folder and progress.rows - self._state.before >= self._part_rows:
            self._seal(last=False)
        elif self._place.lasting and time.monotonic() - self._safe_at >= self._job.every:
            self._remember()

    def _seal(self, *, last: bool) -> None:
        """End the file and put it into its place; where it was not the last, begin the next."""
        assert self._place is not None
        self._file.append(self._format.tail(self._job.schema, self._file.notes()))
        whole = PurePosixPath(self._target.where).name
        name = part_name(len(self._state.parts), self._suffix) if self._target.folder else whole
        self._state.sealed, self._state.last = name, last
        if self._place.lasting:
            self._remember()
        else:
            self._file.sync()
            self._state.size = self._file.size
        self._publish()

    def _publish(self) -> bool:
        """Move the sealed file into its place, if it is not there yet; False where it is nowhere."""
        assert self._place is not None
        name, size = self._state.sealed, self._state.size
        self._file.close()
        if self._file.path.exists() and self._file.path.stat().st_size == size:
            self._place.publish(name, self._file.path)
        elif self._place.size(name) != size:
            return False
        self._state.parts.append(Part(name, self._state.progress.rows - self._state.before, size))
        if not self._state.last:
            self._begin()
            self._remember()
        return True

    # the end -----------------------------------------------------------------------------------------
    def finish(self) -> None:
        assert self._place is not None
        state, folder = self._state, self._target.folder
        more = not folder or not state.parts or state.progress.rows > state.before
        if more and not state.progress.complete:
            self._seal(last=True)
        if folder:
            done = {"key": state.key, "rows": state.progress.rows, "parts": [list(p) for p in state.parts]}
            self._place.write(DONE, json.dumps({**self._job.facts, **done}, indent=1).encode())
        self._finished = True
        self._file.close()
        self._place.forget()

    def close(self) -> None:
        """After a failure what is there is kept for the next call, where there is anything and it may go on."""
        if self._place is None:
            return
        try:
            if not self._finished and not self._state.progress.complete:
                self._leave(self._place)
        finally:
            self._file.close()
            self._place.close()

    def _leave(self, place: Place) -> None:
        if self._job.resumable and self._state.progress.batches:
            if place.lasting and not self._state.sealed:
                with suppress(StoreError):  # the disk may be why it failed: then the last second is lost
                    self._remember()
            return
        self._file.close()
        for part in self._state.parts:
            place.remove(part.name)
        place.forget()
