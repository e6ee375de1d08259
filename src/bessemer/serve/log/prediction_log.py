"""The prediction log of one server process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from bessemer.core.errors import EnvironmentFault, UsageError
from bessemer.core.signature import Signature
from bessemer.package.prediction_log.model import LoggedModel
from bessemer.package.prediction_log.sampling import in_sample, may_be_in_sample, request_of
from bessemer.serve.errors import RequestError
from bessemer.serve.log import labels as label_rules
from bessemer.serve.log.encode import entry_frame, labels_frame, model_frame
from bessemer.serve.log.entry import Entry, Label
from bessemer.serve.log.journal import Journal
from bessemer.serve.log.plugins import SINKS
from bessemer.serve.log.redact import Redactor, read_key
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.log.stats import LogStats
from bessemer.serve.log.watch import Watcher

_LOG = logging.getLogger("bessemer.serve.log")
_SAY_EVERY = 60.0


@dataclass(frozen=True)
class _Known:
    """A model that is logged. `number` is what the journal calls it."""

    number: int
    logged: LoggedModel
    redactor: Redactor


class PredictionLog:
    """Takes predictions and labels. What `take` and `feedback` returned for survives the death of the process.

    One for each process, made in it (after a fork, not before). Safe to use from several threads.

    Raises:
        UsageError: the key of hashed columns cannot be read, or a sink is not known.
        EnvironmentFault: the folder cannot be written.

    >>> import tempfile, time, numpy as np
    >>> from bessemer.package.prediction_log.read import read_log
    >>> from bessemer.testing.models import tiny_signature
    >>> folder = tempfile.mkdtemp()
    >>> with PredictionLog(LogSpec(folder=folder)) as log:
    ...     log.register("tiny", "1.0.0", tiny_signature("regression"))
    ...     row, said = (8, 70.5, True, "One year", None), {"prediction": np.float32([3.5])}
    ...     log.take(Entry("tiny", "1.0.0", ["id"], [row], None, said, time.time(), [0.001], ["me"], ["plain"]))
    ...     log.feedback("tiny", [Label("id", 4.0, time.time())])
    [True]
    >>> read_log(folder, "tiny").read_all().select(["in.contract", "out.prediction", "label"]).to_pylist()
    [{'in.contract': 'One year', 'out.prediction': 3.5, 'label': 4.0}]
    """

    def __init__(self, spec: LogSpec) -> None:
        for name, settings in spec.sinks.items():
            kind = SINKS.load(name)
            kind(
                Path(spec.folder), kind.Settings.model_validate(settings)
            )  # a variable that is not set is told now
        self._spec = spec = spec.model_copy(update={"folder": str(Path(spec.folder).absolute())})
        self._key = read_key(spec.columns.key) if spec.columns.hash else b""
        self._models: dict[tuple[str, str], _Known] = {}
        self._lock = threading.Lock()
        self._rows = self._labels = self._dropped = self._outside = 0
        self._said = -_SAY_EVERY
        try:
            self._journal = Journal(Path(spec.folder), spec.roll_size, spec.fsync)
        except OSError as error:
            raise EnvironmentFault(
                f"the prediction log's folder {spec.folder} cannot be written",
                why=error.strerror or "",
                fix="make it writable and free some space, or name another in `serve: log: folder`",
            ) from error
        self._watcher = Watcher(self._journal, spec, self._lock)
        self._watcher.start()

    def register(self, model: str, version: str, signature: Signature) -> None:
        """Say what is logged of a model, before its first entry; again when it is another under the same name.

        Raises:
            UsageError: the columns setting names an input the model does not have.
        """
        columns = self._spec.columns
        logged = LoggedModel.of(model, version, signature, exclude=columns.exclude, hashed=columns.hash)
        with self._lock:
            models = dict(self._models)  # `take` reads the old one meanwhile
            known = models.pop((model, version), None)  # the last one registered stands last
            if known is None or known.logged != logged:
                known = _Known(self._journal.number(), logged, Redactor(signature, logged, self._key))
            self._models = {**models, (model, version): known}

    def take(self, entry: Entry) -> None:
        """Log a scored batch, if its requests are in the sample. Call it before the answers are sent.

        Raises:
            RequestError: 503, only with `on_full: refuse`: the batch could not be written, and no row of it was.
            UsageError: the model is not registered.
        """
        known = self._models.get((entry.model, entry.version))
        if known is None:
            raise UsageError(f"{entry.model} {entry.version} is not registered with the prediction log")
        if self._spec.sample < 1:
            entry = self._sampled(entry)
        rows = len(entry.ids)
        if not rows:
            return
        data = entry_frame(known.number, entry, known.redactor)
        try:
            self._write(known, data, rows=rows)
        except OSError as error:
            self._dropped += rows
            self._complain(error)
            if self._spec.on_full == "refuse":
                raise _cannot("the prediction could not be logged, so it is not given", error) from error

    def feedback(self, model: str, labels: Sequence[Label]) -> list[bool]:
        """Log labels of earlier predictions; the last label of a prediction counts.

        Returns:
            for each label whether its prediction can be in the sample that is logged now.

        Raises:
            RequestError: 404 for a model that is not served, 400 for labels that are not of the model's classes or
                no number, 503 where they could not be written. No label is kept then.
        """
        versions = [known for (name, _), known in self._models.items() if name == model]
        if not versions:
            raise RequestError(404, f"no model '{model}' is logged here")
        known = _accepting(versions, labels)
        if labels:
            data = labels_frame(known.number, known.logged, labels, time.time_ns())
            try:
                self._write(known, data, labels=len(labels))
            except OSError as error:
                self._complain(error)
                raise _cannot("the labels could not be written", error) from error
        return [may_be_in_sample(label.prediction_id, self._spec.sample) for label in labels]

    def stats(self) -> LogStats:
        """The figures up to now."""
        segments, size = self._journal.pending()
        return replace(
            self._watcher.rolled,
            rows=self._rows,
            labels=self._labels,
            bytes=self._journal.written,
            dropped=self._dropped,
            outside=self._outside,
            pending_segments=segments,
            pending_bytes=size,
        )

    def close(self, wait: float = 10.0) -> None:
        """Close the journal and have it rolled, for at most `wait` seconds; the next start does what is left."""
        self._watcher.stop()
        with self._lock:
            self._journal.close()
        self._watcher.finish(wait)

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, known: _Known, data: bytes, *, rows: int = 0, labels: int = 0) -> None:
        with self._lock:
            self._journal.append(known.number, data, lambda: model_frame(known.number, known.logged))
            self._rows += rows
            self._labels += labels

    def _sampled(self, entry: Entry) -> Entry:
        requests = entry.requests or [request_of(each) for each in entry.ids]
        share, asked = self._spec.sample, dict.fromkeys(requests, False)
        for request in asked:
            asked[request] = in_sample(request, share)
        at = [i for i, request in enumerate(requests) if asked[request]]
        self._outside += len(requests) - len(at)
        return entry if len(at) == len(requests) else entry.subset(at)

    def _complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            _LOG.error("the prediction log cannot be written (%s): %d rows lost so far", error, self._dropped)


def _accepting(versions: Sequence[_Known], labels: Sequence[Label]) -> _Known:
    """The version whose classes the labels are, the last registered first; its refusal where none accepts."""
    refusal: RequestError | None = None
    for known in reversed(versions):
        try:
            label_rules.check(known.logged, labels)
        except RequestError as error:
            refusal = refusal or error
        else:
            return known
    assert refusal is not None
    raise refusal


def _cannot(what: str, error: OSError) -> RequestError:
    return RequestError(
        503,
        what,
        why=error.strerror or str(error),
        fix="try again later; the one who runs the server has to free some disk space",
        headers=(("retry-after", "10"),),
    )
