"""A function of the user's that gives the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.options import FUNCTION
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.remote import always
from bessemer.acquire.usercode import batches_of, code_digest, guarded, user_function
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context


class PythonSource(Spec):
    python: str = Field(
        pattern=FUNCTION,
        description="module:function in the project's folder; called without arguments, it gives Arrow tables or "
        "record batches, or an iterator of them. It is called in every run.",
    )


class Python:
    """Calls `module:function` without arguments; what it gives is streamed, never held as a whole."""

    def __init__(self, name: str, options: PythonSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return self.options.python

    def fingerprint(self, place: Place) -> str:
        code_digest(place.project_dir, self.options.python)  # a missing module is told before anything runs
        return always()

    def open(self, connection: Any, ctx: Context) -> Relation:
        def batches() -> Iterator[pa.RecordBatch]:
            function = self.options.python
            with user_function(ctx.project_dir, function) as call:
                made = (batch for value in _once(call) for batch in batches_of(value, function))
                yield from guarded(made, function, f"as source '{self.name}'")

        return Relation(batches=batches())


def _once(call: Any) -> Iterator[Any]:
    """The call itself happens inside the guard."""
    yield call()
