"""Places that are not this disk: fsspec URLs, and the extras that bring their clients."""

from __future__ import annotations

from typing import Any

from bessemer.core.errors import MissingExtra

#: Scheme -> the Python package that speaks it, and the extra that brings it.
_EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "s3")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gcs")),
    **dict.fromkeys(("http", "https"), ("aiohttp", "http")),
}


def extra_of(scheme: str) -> str:
    """The extra that brings the client of a scheme.

    >>> extra_of("s3"), extra_of("file")
    ('s3', 'flow')
    """
    return _EXTRAS[scheme][1] if scheme in _EXTRAS else "flow"


def open_url(url: str) -> tuple[Any, str]:
    """The fsspec filesystem of a URL, and the path inside it.

    Raises:
        MissingExtra: the scheme's client is not installed.
        ValueError: fsspec knows no such scheme.

    >>> open_url("memory://a/b")[1]
    '/a/b'
    """
    import fsspec

    scheme = url.partition("://")[0]
    try:
        fs, inside = fsspec.core.url_to_fs(url)
    except ImportError as error:
        module, extra = _EXTRAS.get(scheme, (scheme, scheme))
        raise MissingExtra(scheme, error.name or module, extra) from error
    return fs, str(inside)
