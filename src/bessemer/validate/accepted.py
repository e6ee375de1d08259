"""The snapshot that was accepted last, in short: what later ones are compared with.

It stands in a file beside the contract, and is committed with it, so that every machine compares with the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from bessemer.core.errors import DataError
from bessemer.core.store import write_atomic
from bessemer.validate.sketch import sketch

_FORMAT = 1


@dataclass(frozen=True)
class Accepted:
    """raw: the digest of the snapshot. at: when it was accepted, ISO 8601. run: by which run it was seen.

    rows: of those that keep the contract. columns: name -> `dtype` and, where it is compared, its sketch.
    """

    raw: str
    at: str
    run: str
    rows: int
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)


def file_of(contract: str) -> str:
    """The file of the accepted snapshot of a contract's file.

    >>> file_of("contracts/customers.yaml")
    'contracts/customers.accepted.json'
    """
    return str(PurePosixPath(contract).with_suffix(".accepted.json"))


def sketches(connection: Any, relation: str, types: Mapping[str, str], rows: int) -> dict[str, Any]:
    """The columns of a relation as `Accepted.columns` has them."""
    return {
        name: {"dtype": kind, **sketch(connection, relation, name, kind, rows)}
        for name, kind in types.items()
    }


def write_accepted(path: Path, accepted: Accepted) -> None:
    """Write the file, a line a column, so that a change can be read.

    Raises:
        StoreError: disk full or read-only.
    """
    value = {"format": _FORMAT, **asdict(accepted)}
    columns = value.pop("columns")
    lines = [f"{json.dumps(name)}: {json.dumps(value[name], ensure_ascii=False)}" for name in value]
    inner = ",\n".join(f"  {line}" for line in _lines(columns))
    text = "{" + ",\n".join(lines) + ',\n"columns": {\n' + inner + "\n}}\n"
    write_atomic(path, text.encode("utf-8"))


def _lines(columns: Mapping[str, Any]) -> Iterator[str]:
    for name, facts in columns.items():
        yield f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(facts, ensure_ascii=False)}"


def read_accepted(path: Path) -> Accepted | None:
    """The accepted snapshot; None where there is no such file.

    Raises:
        DataError: the file is not one of ours.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        if value.pop("format") != _FORMAT:
            raise ValueError("another format")
        return Accepted(**value)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise DataError(
            f"'{path.name}' is not a record of an accepted snapshot",
            why=str(error),
            fix="bessemer validate --accept --yes writes it anew",
        ) from None
