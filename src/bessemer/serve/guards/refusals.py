"""The refusals of a guard, with the headers that RFC 6750 (bearer tokens) and RFC 9110 ask for."""

from __future__ import annotations

import math

from bessemer.serve.errors import RequestError
from bessemer.serve.guards.principal import Rate

_CHALLENGE = 'Bearer realm="bessemer"'


def no_credentials() -> RequestError:
    """401: nobody said who asks."""
    fix = "send the header 'authorization: Bearer KEY' or 'x-api-key: KEY'"
    return RequestError(401, "a key is needed", fix=fix, headers=(("www-authenticate", _CHALLENGE),))


def wrong_credentials(why: str, fix: str = "") -> RequestError:
    """401: a key or token that is not taken. `why` is one of our own sentences, without quotes in it."""
    challenge = f'{_CHALLENGE}, error="invalid_token", error_description="{why}"'
    return RequestError(401, why, fix=fix, headers=(("www-authenticate", challenge),))


def not_allowed(scope: str, name: str) -> RequestError:
    """403: known, and without the scope; 401 where a key could help."""
    if not name:
        challenge = f'{_CHALLENGE}, scope="{scope}"'
        fix = f"send a key with the scope {scope}: see `serve.access`"
        what = f"the scope '{scope}' needs a key"
        return RequestError(401, what, fix=fix, headers=(("www-authenticate", challenge),))
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
    what = f"'{name}' may not do this: it has no scope '{scope}'"
    return RequestError(403, what, fix="use another key", headers=(("www-authenticate", challenge),))


def too_often(rate: Rate, wait: float) -> RequestError:
    """429, with how long to wait in whole seconds, rounded up. wait: seconds."""
    seconds = max(1, math.ceil(wait))
    what = f"too many requests: the limit is {rate.per_second:g} a second and {rate.burst} at once"
    unit = "second" if seconds == 1 else "seconds"
    headers = (("retry-after", str(seconds)), *rate_headers(rate, 0, seconds))
    return RequestError(429, what, fix=f"wait {seconds} {unit}", headers=headers)


def step_up(name: str, seconds: float) -> RequestError:
    """401: the credential is good, and no longer enough (RFC 9470). seconds: since it is not."""
    challenge = (
        f'{_CHALLENGE}, error="insufficient_user_authentication", '
        f'error_description="a newer credential is needed", max_age="{max(0, int(seconds))}"'
    )
    return RequestError(
        401,
        f"'{name}' must show a newer credential",
        why="its requests were out of the ordinary",
        fix="ask who runs the server for a new key, or sign in again for a new token",
        headers=(("www-authenticate", challenge),),
    )


def rate_headers(rate: Rate, left: int, reset: int) -> tuple[tuple[str, str], ...]:
    """The two fields of draft-ietf-httpapi-ratelimit-headers-10.

    left: requests that may still be sent at once; reset: whole seconds until there are more.

    >>> rate_headers(Rate(100.0, 200), 12, 1)
    (('ratelimit-policy', '"default";q=200;w=2'), ('ratelimit', '"default";r=12;t=1'))
    """
    window = max(1, math.ceil(rate.burst / rate.per_second))
    return (
        ("ratelimit-policy", f'"default";q={rate.burst};w={window}'),
        ("ratelimit", f'"default";r={left};t={reset}'),
    )


def not_yet(what: str) -> RequestError:
    """503: tokens cannot be judged at this moment."""
    return RequestError(503, what, fix="try again in a second", headers=(("retry-after", "1"),))
