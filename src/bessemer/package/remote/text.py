"""What a suspect says of itself, as it may stand on a terminal: it is somebody else's, and may mean harm.

And its address, which may have a key in it.
"""

from __future__ import annotations

from bessemer.core.redaction import without_password

_MOST = 300


def harmless(text: object, most: int = _MOST) -> str:
    r"""The text without control characters, line ends and marks that turn the direction, cut at `most` characters.

    >>> harmless("no\x1b[2J model\u202e\n")
    'no\ufffd[2J model\ufffd\ufffd'
    >>> harmless("abcdef", most=4)
    'abcd...'
    """
    said = str(text)
    cut = "".join(one if one.isprintable() else "\ufffd" for one in said[:most])
    return cut + ("..." if len(said) > most else "")


def shown_url(url: str) -> str:
    """An address, or the path of a file, as it may be shown: without its password and what is asked for behind `?`,
    which may be a key.

    >>> shown_url("https://me:secret@host/predict?key=abc&x=1"), shown_url("a?b.onnx")
    ('https://me:***@host/predict?***', 'a?b.onnx')
    """
    if not url.startswith(("http://", "https://")):
        return url
    address, sign, _ = url.partition("?")
    return without_password(address) + (f"{sign}***" if sign else "")
