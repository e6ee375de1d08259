"""Columns of images: texts that hold the base64 of a PNG or JPEG file, as JSON carries them."""

from __future__ import annotations

#: How the base64 of a PNG and of a JPEG file begins: the first bytes of the formats.
PNG, JPEG = "iVBORw0KGgo", "/9j/"
_HEADER = "data:image/"


def without_header(text: str) -> str:
    """The base64 of a text that may be a data URI (RFC 2397).

    >>> without_header("data:image/png;base64,iVBORw0KGgo="), without_header("iVBORw0KGgo=")
    ('iVBORw0KGgo=', 'iVBORw0KGgo=')
    """
    return text.partition(",")[2] if text.startswith(_HEADER) else text


def is_image(text: object) -> bool:
    """Whether a value is the base64 of a PNG or JPEG file, by its first characters.

    >>> is_image("iVBORw0KGgoAAAANSUhEUg=="), is_image("/9j/4AAQ"), is_image("/9 o'clock"), is_image(None)
    (True, True, False, False)
    """
    return isinstance(text, str) and without_header(text[:100]).startswith((PNG, JPEG, "_9j_"))


def is_image_sql(x: str) -> str:
    """The same as SQL of DuckDB and what it is carried over to: NULL where `x` is.

    >>> import duckdb
    >>> duckdb.sql(f"SELECT {is_image_sql('x')} FROM (VALUES ('/9j/4AAQ'), ('a text'), (NULL)) t(x)").fetchall()
    [(True,), (False,), (None,)]
    """
    body = f"CASE WHEN {x} LIKE '{_HEADER}%' THEN substr({x}, strpos({x}, ',') + 1, 11) ELSE substr({x}, 1, 11) END"
    return f"regexp_matches({body}, '^({PNG}|{JPEG}|_9j_)')"


def shown_image(text: str) -> str:
    """What a line has of an image where its base64 would be.

    >>> shown_image("iVBORw0KGgoAAAANSUhEUgAA"), shown_image("Rome")
    ('(image)', 'Rome')
    """
    return "(image)" if is_image(text) else text
