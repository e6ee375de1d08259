"""What Triton has and a server of packages does not: routes that say so, in place of a page that is not found."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.serve.dialect import Call, Route
from bessemer.serve.errors import RequestError
from bessemer.serve.wire import Response, json_response

_TRACE = {
    "trace_file": "",
    "trace_level": ["OFF"],
    "trace_rate": "0",
    "trace_count": "0",
    "log_frequency": "0",
    "trace_mode": "triton",
}


def routes() -> Sequence[Route]:
    """They stand in no description."""
    memories = ("/v2/systemsharedmemory", "/v2/cudasharedmemory")
    traces = ("/v2/trace/setting", "/v2/models/{model}/trace/setting")
    made = [Route("GET", path, "Tracing is off.", answer=_trace, shown=False) for path in traces]
    made += [Route("POST", path, "Tracing stays off.", answer=_no_trace, shown=False) for path in traces]
    made.append(Route("POST", "/v2/logging", "Logging stays.", answer=_no_logging, shown=False))
    for memory in memories:
        for place in (memory, f"{memory}/region/{{region}}"):
            made.append(Route("GET", f"{place}/status", "No region.", answer=_no_region, shown=False))
            for verb in ("register", "unregister"):
                made.append(Route("POST", f"{place}/{verb}", "Not spoken.", answer=_no_memory, shown=False))
    for place in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        for verb in ("generate", "generate_stream"):
            made.append(Route("POST", f"{place}/{verb}", "Not spoken.", answer=_no_text, shown=False))
    return made


def _trace(call: Call) -> Response:
    return json_response(_TRACE)


def _no_region(call: Call) -> Response:
    return json_response([])


def _no_trace(call: Call) -> Response:
    raise RequestError(501, "Triton's traces are not spoken", fix="see the server's metrics")


def _no_logging(call: Call) -> Response:
    raise RequestError(501, "what is logged is not changed while the server runs")


def _no_memory(call: Call) -> Response:
    raise RequestError(501, "shared memory is not spoken", fix="send the tensors' bytes in the request")


def _no_text(call: Call) -> Response:
    raise RequestError(
        501, "this model generates no text", fix=f"POST /v2/models/{call.params['model']}/infer"
    )
