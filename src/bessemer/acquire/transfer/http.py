"""HTTP as sources need it: redirects that give no credentials away, refusals told, and what may pass tried again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bessemer.acquire.transfer.patience import Passing, Patience
from bessemer.core.errors import DataError
from bessemer.core.redaction import without_password
from bessemer.core.retry_after import retry_after

if TYPE_CHECKING:
    import httpx

_REDIRECTS = 10
_PASSING = {408, 425, 429, 500, 502, 503, 504}
#: Headers that say nothing of who asks.
_HARMLESS = {"accept", "accept-encoding", "range", "if-range", "user-agent"}


class Http:
    """A client for one address and what it leads to.

    Args:
        url: http(s); a user and a password in it are for its own host alone.
        shown: how the address may be written in an error. headers: also for its own host alone.
    """

    def __init__(
        self, url: str, shown: str, patience: Patience, headers: Mapping[str, str] | None = None
    ) -> None:
        import httpx

        try:
            self.url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise DataError(f"'{shown}' is not an address", why=str(error)) from error
        if self.url.scheme not in ("http", "https") or not self.url.host:
            raise DataError(f"'{shown}' is not an address", fix="write https://host/path")
        self._shown = shown
        self._own = dict(headers or {})
        user = self.url.userinfo
        self._auth = httpx.BasicAuth(self.url.username, self.url.password) if user else None
        self.url = self.url.copy_with(username=None, password=None)
        limits = httpx.Timeout(patience.read, connect=patience.connect)
        plain = {"user-agent": "bessemer", "accept-encoding": "identity"}
        self._client = httpx.Client(timeout=limits, headers=plain, follow_redirects=False)
        self._patience = patience

    def close(self) -> None:
        self._client.close()

    def is_own(self, url: httpx.URL) -> bool:
        """Whether an address is of the same scheme, host and port: it may see the credentials."""
        return _origin(url) == _origin(self.url)

    @contextmanager
    def answer(
        self,
        method: str,
        url: httpx.URL | str,
        headers: Mapping[str, str] | None = None,
        *,
        allowed: frozenset[int] = frozenset(),
        **body: Any,
    ) -> Iterator[httpx.Response]:
        """One answer, whose body is read by the caller.

        Args:
            allowed: statuses from 400 on that are answers too. body: `json` or `params`, as httpx has them.

        Raises:
            Passing: the connection failed, or the server says that it may work later; also while the body is read.
            DataError: it refuses, or sends from place to place.
        """
        import httpx

        with cuts_told():
            response = self._followed(method, httpx.URL(url), dict(headers or {}), body)
            try:
                if response.status_code >= 400 and response.status_code not in allowed:
                    raise self._refused(response)
                yield response
            finally:
                response.close()

    def _followed(
        self, method: str, url: httpx.URL, headers: dict[str, str], body: dict[str, Any]
    ) -> httpx.Response:
        for _ in range(_REDIRECTS + 1):
            own = self.is_own(url)
            sent = {**self._own, **headers} if own else _harmless(headers)
            request = self._client.build_request(method, url, headers=sent, **body)
            response = self._sent(request, self._auth if own else None)
            if not response.has_redirect_location:
                return response
            following = response.next_request
            response.close()
            assert following is not None, "httpx makes one of every redirect that has a location"
            if url.scheme == "https" and following.url.scheme != "https":
                raise DataError(
                    f"'{self._shown}' leads to '{following.url.host}' without encryption",
                    why="a redirect from https to http",
                    fix="write the address that it leads to, if that is what you want",
                )
            method, url = following.method, following.url
            body = {} if method == "GET" else {name: body[name] for name in body if name != "params"}
        raise DataError(
            f"'{self._shown}' leads from place to place",
            why=f"more than {_REDIRECTS} redirects, the last to {without_password(str(url))}",
            fix="check the address: a redirect loop often is a login that is missing",
        )

    def _sent(self, request: httpx.Request, auth: httpx.Auth | None) -> httpx.Response:
        import httpx

        try:
            return self._client.send(request, stream=True, auth=auth)
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise
            raise DataError(
                f"'{self._shown}' cannot be read",
                why=f"its certificate is not trusted: {error}",
                fix="if you trust who signed it: export SSL_CERT_FILE=THE_CERTIFICATE.pem",
            ) from error

    def _refused(self, response: httpx.Response) -> Exception:
        status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
        if response.status_code in _PASSING:
            return Passing(status, wait=retry_after(response.headers.get("retry-after")))
        fix = {
            401: "give the credentials by the environment, as in https://me:${PASSWORD}@host/path",
            403: "check the rights of these credentials; some servers say 403 for what is not there",
            404: "check the address: nothing is there under this name",
            410: "the server says that it is gone for good: find where it went",
        }.get(response.status_code, "check the address and the rights, or try later")
        return DataError(f"'{self._shown}' cannot be read: {status}", why=self._where(response), fix=fix)

    def _where(self, response: httpx.Response) -> str:
        if response.request.url.path == self.url.path and self.is_own(response.request.url):
            return ""
        return f"asked for {response.request.url.copy_with(query=None)}"


@contextmanager
def cuts_told() -> Iterator[None]:
    """A connection that fails, or an answer that ends too early, as `Passing`."""
    import httpx

    try:
        yield
    except (httpx.RequestError, httpx.StreamError) as error:
        raise Passing(f"{type(error).__name__}: {error or 'no answer in time'}") from error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    usual = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port or usual


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
