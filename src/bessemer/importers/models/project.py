"""The project that judges an imported model on data: its features and its model are given, all other stages run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bessemer.core.signature import Signature
from bessemer.core.sql import quote

#: The package that the project's stages take, beside its project file.
GIVEN = "given.bsm"


def project_text(signature: Signature, *, name: str, data: str, target: str) -> str:
    """The project file.

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
    return (
        "# Judges the imported model as it is: nothing of it is trained here.\n"
        + _yaml(told)
        + f"acquire:\n  sql: |\n    select {columns}\n    from data\n"
        + f"prepare: {{given: {GIVEN}}}\ntrain: {{given: {GIVEN}, calibrate: none}}\n"
    )


def _yaml(value: dict[str, Any]) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000))


def folder_of(out: Path) -> Path:
    """Where the project of a package stands: beside it, named as it is.

    >>> folder_of(Path("a/churn.bsm")).name, folder_of(Path("churn")).name
    ('churn', 'churn-project')
    """
    return out.with_suffix("") if out.suffix else out.with_name(f"{out.name}-project")
