"""The project that judges an imported model on data: its features and its model are given, all other stages run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bessemer.core.errors import UsageError
from bessemer.core.signature import Signature
from bessemer.core.sql import quote
from bessemer.package.decision import USED

#: The package that the project's stages take, beside its project file.
GIVEN = "given.bsm"
_ELSEWHERE = "write elsewhere: --output FILE"


def check_place(out: Path, folder: Path | None, *, force: bool) -> None:
    """Hold what is there already against what shall be written: a package, and with data its project's folder.

    Raises:
        UsageError: it would be in the way, or `force` would write over what is no import of a model.
    """
    if out.is_dir():
        raise UsageError(f"{out} is a folder", fix="name a file: --output NAME.bsm")
    for there in (out, *([folder] if folder is not None else [])):
        if there.exists() and not force:
            raise UsageError(f"{there} is there already", fix="give --force to replace it, or --output FILE")
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is a file", why="the project would be a folder of that name", fix=_ELSEWHERE
        )
    if not (folder / GIVEN).is_file() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not the project of an imported model",
            why="--force would write into it",
            fix=_ELSEWHERE,
        )


def project_text(signature: Signature, *, name: str, data: str, target: str, threshold: float = 0.5) -> str:
    """The project file. threshold: from which probability on the model says the second of two classes.

    >>> from bessemer.core.signature import Field
    >>> one = Signature((Field("age", "number", "float32"),), (), "regression", "price")
    >>> print(project_text(one, name="prices", data="rows.csv", target="price"))
    # Judges the imported model as it is: nothing of it is trained here.
    name: prices
    data: rows.csv
    target: price
    task: regression
    acquire:
      sql: |
        select "age", "price"
        from data
    prepare: {given: given.bsm}
    train: {given: given.bsm, calibrate: none}
    <BLANKLINE>
    """
    columns = ", ".join(quote(column) for column in (*(f.name for f in signature.inputs), target))
    told = {"name": name, "data": data, "target": target, "task": signature.task}
    decides = "" if threshold == USED else f", threshold: {threshold!r}"
    return (
        "# Judges the imported model as it is: nothing of it is trained here.\n"
        + _yaml(told)
        + f"acquire:\n  sql: |\n    select {columns}\n    from data\n"
        + f"prepare: {{given: {GIVEN}}}\ntrain: {{given: {GIVEN}, calibrate: none{decides}}}\n"
    )


def _yaml(value: dict[str, Any]) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000))


def folder_of(out: Path) -> Path:
    """Where the project of a package stands: beside it, named as it is.

    >>> folder_of(Path("a/churn.bsm")).name, folder_of(Path("churn")).name
    ('churn', 'churn-project')
    """
    return out.with_suffix("") if out.suffix else out.with_name(f"{out.name}-project")
