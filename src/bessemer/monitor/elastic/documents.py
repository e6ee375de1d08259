"""Notices as documents: a finding is one; a window is one, and one more for each of its tests."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from bessemer.core.elastic.bulk import Document
from bessemer.core.elastic.templates import field_name, index_name
from bessemer.monitor.alerts.notice import Notice

_TESTED = {"columns": "input", "outputs": "output", "clients": "client", "service": "service"}
_OF_FINDING = ("detector", "column", "of", "statistic", "value", "threshold", "p_value")
#: Lucene takes no longer term; what is longer is in the file of the monitor.
_LONGEST = 10_000


def documents(notice: Notice, prefix: str) -> Iterator[Document]:
    """The documents of a notice. One that is told again has the same ids, and replaces what was told before."""
    if notice.kind == "window":
        yield from _window(notice, prefix)
    else:
        yield _finding(notice, prefix)


def _finding(notice: Notice, prefix: str) -> Document:
    body = notice.body
    about = {name: _number(body[name]) for name in _OF_FINDING if name in body}
    moment = notice.at or notice.start
    source = {
        "@timestamp": _moment(moment),
        "model": _model(notice),
        "window": _span(notice),
        "notice": notice.id,
        "kind": notice.kind,
        "severity": notice.severity,
        "subject": notice.subject,
        "since": _moment(notice.since),
        "title": notice.title[:_LONGEST],
        "text": notice.text[:_LONGEST],
        "todo": notice.todo[:_LONGEST],
        **about,
        "body": _finite(body),
    }
    return Document(index_name(prefix, "findings", _day(moment)), notice.id, _given(source))


def _window(notice: Notice, prefix: str) -> Iterator[Document]:
    check = notice.body
    tests = list(_tests(check))
    common = {"@timestamp": _moment(notice.start), "model": _model(notice), "window": _span(notice)}
    key = (notice.model, notice.version, notice.start)
    day = _day(notice.start)
    source = {
        **common,
        "rows": check.get("rows"),
        "looks": check.get("looks"),
        "alarm": check.get("alarm"),
        "findings": len(check.get("findings", ())),
        "tests": len(tests),
        **_performance(check.get("performance") or {}),
        "check": _finite(check),
    }
    yield Document(index_name(prefix, "windows", day), _id(*key), _given(source))
    found = {(each["of"], each["column"], each["detector"]) for each in check.get("findings", ())}
    for of, column, detector, said in tests:
        about = {"of": of, "column": column, "detector": detector, "found": (of, column, detector) in found}
        values = {name: _number(said.get(name)) for name in ("statistic", "value", "p_value")}
        yield Document(
            index_name(prefix, "tests", day),
            _id(*key, of, column, detector),
            _given({**common, **about, **values}),
        )


def _tests(check: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for key, of in _TESTED.items():
        for column, by_detector in (check.get(key) or {}).items():
            for detector, said in by_detector.items():
                yield of, column, detector, said


def _performance(performance: Mapping[str, Any]) -> dict[str, Any]:
    """The metric that the model was chosen by under names that do not depend on it, and all metrics by theirs."""
    metric = performance.get("metric")
    if not metric:
        return {}
    main = {
        kind: _number(((performance.get(kind) or {}).get(metric) or {}).get("value"))
        for kind in ("reference", "measured", "estimated")
    }
    by_name = {
        kind: {
            part: {field_name(name): _number(value.get(part)) for name, value in performance[kind].items()}
            for part in ("value", "low", "high")
        }
        for kind in ("measured", "estimated")
        if performance.get(kind)
    }
    labelled = performance.get("labelled")
    return {"metric": metric, "labelled": labelled, "performance": _given(main), **by_name}


def _model(notice: Notice) -> dict[str, str]:
    return {"name": notice.model, "version": notice.version}


def _span(notice: Notice) -> dict[str, Any]:
    return _given({"start": _moment(notice.start), "end": _moment(notice.end)})


def _moment(text: str) -> str | None:
    """Naive UTC as ISO 8601 with its zone."""
    return f"{text}Z" if text and not text.endswith("Z") else text or None


def _day(text: str) -> str:
    return text[:10] or dt.datetime.now(dt.UTC).date().isoformat()


def _id(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _given(source: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if value is not None and value != {}}


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, Mapping):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return _number(value)
