"""Types of the C extension `_scanner.c`, which is there only where it was compiled."""

from typing_extensions import Buffer

def scan(
    data: Buffer, ends: Buffer, rows: int, names: tuple[bytes, ...], kinds: bytes, only: bool, /
) -> list[tuple[bytes, ...]] | None:
    """The columns of messages that are JSON objects; None where another parser has to look at them.

    Args:
        data, ends: messages side by side, and int32 where each begins and where the last ends, as in Arrow's binary.
        names: the fields, as UTF-8. kinds: of each field a letter: t text, n number, b boolean.
        only: whether other fields are passed over; else one makes it None.

    Returns:
        The buffers of Arrow's arrays: (valid, truth) of booleans, (valid, ends, data) of texts and numbers, where
        numbers stand as they were written.

    Raises:
        ValueError: a message is not within the data, or a kind is none.
    """
