"""Cross-origin requests of browsers: https://fetch.spec.whatwg.org/#http-cors-protocol."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.serve.errors import RequestError, shown
from bessemer.serve.guards.spec import CorsSpec
from bessemer.serve.wire import Response

Headers = tuple[tuple[str, str], ...]
_VARY: Headers = (("vary", "Origin"),)
_PREFLIGHT_VARY = (("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),)


class Cors:
    """Answers preflights, and says which headers an answer needs.

    >>> cors = Cors(CorsSpec(origins=["https://app.example"]))
    >>> cors.headers({"origin": "https://app.example"})[0]
    ('access-control-allow-origin', 'https://app.example')
    >>> cors.headers({"origin": "https://evil.example"})
    (('vary', 'Origin'),)
    """

    def __init__(self, spec: CorsSpec) -> None:
        self._any = "*" in spec.origins
        self._methods = ", ".join(spec.methods)
        self._allowed = ", ".join(spec.headers)
        self._age = str(int(spec.max_age))
        more = (("access-control-allow-credentials", "true"),) if spec.credentials else ()
        exposed = (("access-control-expose-headers", ", ".join(spec.expose)),) if spec.expose else ()
        vary = () if self._any else _VARY
        self._others: Headers = vary
        origins = ["*"] if self._any else spec.origins
        self._answers: dict[str, Headers] = {
            origin: (("access-control-allow-origin", origin), *more, *exposed, *vary) for origin in origins
        }

    def headers(self, headers: Mapping[str, str]) -> Headers:
        """What the answer to a request (names in lowercase) must have, whether it is good or a refusal.

        `Vary: Origin` is there also without an origin, so that no cache gives one page's answer to another.
        """
        if self._any:
            return self._answers["*"] if "origin" in headers else ()
        return self._answers.get(headers.get("origin", ""), self._others)

    def preflight(self, method: str, headers: Mapping[str, str]) -> Response | None:
        """The answer to a browser that asks before it sends, None for any other request.

        Raises:
            RequestError: 403 where the origin is not allowed.
        """
        if method != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        origin = headers.get("origin")
        if origin is None:
            return None
        if not self._any and origin not in self._answers:
            fix = "add it to `serve.cors.origins`"
            what = f"pages of {shown(origin)} may not call this server"
            raise RequestError(403, what, fix=fix, headers=_PREFLIGHT_VARY)
        answer = (  # whose page may read it stands in `headers`, as in every answer
            ("access-control-allow-methods", self._methods),
            ("access-control-allow-headers", self._allowed),
            ("access-control-max-age", self._age),
            *_PREFLIGHT_VARY,
        )
        return Response(
            200, b"", "text/plain", answer
        )  # 204 must not have the length that every answer here has
