"""Packages from Python: load, verify, predict, explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.redaction import remember_environment

if TYPE_CHECKING:
    from bessemer.explain.answers import Answer
    from bessemer.package.model import Model
    from bessemer.predict.job import Predicted


def load(package: str | Path, *, threads: int | None = None, key: str | Path | None = None) -> Model:
    """Open a model package: signature, digests, format and graph are checked first.

    Args:
        package: a `.bsm` file or an fsspec URL.
        threads: of the graph session; one by default.
        key: a public key file to trust besides those of this user.

    Raises:
        PackageError: it is refused; the error says why.
    """
    from bessemer.package.model import load as load_model

    return load_model(package, threads=threads, key=key)


def verify(package: str | Path, *, key: str | Path | None = None) -> dict[str, Any]:
    """Check a package's signature, digests, format and graph without loading the model.

    Returns:
        the checks and what they found, as plain JSON data.

    Raises:
        PackageError: it is refused.
    """
    from bessemer.package.read import verify_package

    return verify_package(package, key=key)


def predict(
    package: str | Path | Model,
    source: str | Path | Mapping[str, Any],
    output: str | Path | Mapping[str, Any],
    **settings: Any,
) -> Predicted:
    """Score every row of a source into a file, a folder of parts or a table; a killed call is gone on with.

    Args:
        package: a `.bsm` file, an fsspec URL, or a loaded model.
        source, output, settings: see `bessemer.predict.job.predict`.

    Raises:
        PackageError: the package is refused.
        DataError, UsageError, StoreError: as `bessemer.predict.job.predict`.
    """
    from bessemer.predict.job import predict as run

    remember_environment()
    model = load(package) if isinstance(package, str | Path) else package
    return run(model, source, output, **settings)


def explain(
    package: str | Path | Model,
    rows: Any,
    with_: str = "",
    *,
    settings: Mapping[str, Any] | None = None,
    asked: Sequence[int] | None = None,
    background: Any = None,
    most: int = 2000,
    first: int | None = None,
    seed: int = 0,
) -> Answer:
    """Say why a packaged model predicts what it predicts for some rows.

    Args:
        package: a `.bsm` file, an fsspec URL, or a loaded model.
        rows: a file or any source that `predict` takes, or what `Model.predict` takes: a table, a DataFrame, a list
            of dicts. A column of the target's name holds what is actual.
        with_: an explainer of the project file, such as `counterfactuals`; by default the contributions to each row's
            score, by the method that travels in the package.
        settings: of the explainer, as in the project file.
        asked: which rows to explain, counted from 0; by default all that are read.
        background: rows (as `rows`) to take values from; by default drawn from the profile in the package.
        most: rows that are read, at most. first: how many of them are explained where `asked` says nothing.
        seed: of everything that is drawn at random.

    Raises:
        PackageError: the package is refused, or has no native model.
        DataError: a column is missing or holds what cannot be converted.
        UsageError: no such explainer, setting or row, or it cannot explain this model or these rows.
    """
    from bessemer.explain.answers import answer
    from bessemer.package.tabular import as_table
    from bessemer.predict.head import first_rows

    model = load(package) if isinstance(package, str | Path) else package

    def table(data: Any, count: int) -> Any:
        if isinstance(data, str | Path):
            return first_rows(data, model.signature.inputs, count, optional=model.signature.target)
        return as_table(data).slice(0, count)

    behind = None if background is None else table(background, 100_000)
    given = table(rows, most)
    if asked is None and first is not None:
        asked = range(min(first, given.num_rows))
    return answer(model, given, with_, settings=settings, asked=asked, background=behind, seed=seed)
