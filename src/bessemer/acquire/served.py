"""What sources have in common whose rows a server sends: it cannot tell cheaply whether they have changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.remote import always
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_Options = TypeVar("_Options", bound=Spec)


class ServedSource(Generic[_Options]):
    """A source that is read in every run, all of it or what is new (see `protocol.IncrementalSource`)."""

    def __init__(self, name: str, options: _Options) -> None:
        self.name, self.options = name, options

    def fingerprint(self, place: Place) -> str:
        return always()

    def open(self, connection: Any, ctx: Context) -> Relation:
        return Relation(batches=self.newer(None, ctx))

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        """See `protocol.IncrementalSource.newer`."""
        raise NotImplementedError
