"""What a suspect says of itself, as it may stand on a terminal: it is somebody else's, and may mean harm."""

from __future__ import annotations

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
