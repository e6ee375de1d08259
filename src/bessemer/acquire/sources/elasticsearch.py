"""Documents of Elasticsearch: the fields of an index's mapping as columns, read page by page from one moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.elastic_fields import Fields, Shape, fields_of, named
from bessemer.acquire.options import IncrementalOptions
from bessemer.acquire.served import ServedSource
from bessemer.core.elastic.faults import ElasticFault, explained
from bessemer.core.elastic.login import ElasticLogin, ElasticUrl, connect
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.spec import Duration

if TYPE_CHECKING:
    import pyarrow as pa
    from elasticsearch import Elasticsearch as Client

    from bessemer.core.stage import Context


class ElasticsearchSource(ElasticLogin, IncrementalOptions):
    elasticsearch: ElasticUrl = Field(description="The server, as https://host:9200.")
    index: str = Field(
        min_length=1, description="An index, an alias, a data stream, or a pattern of them such as logs-*."
    )
    query: dict[str, Any] | None = Field(
        default=None,
        description="Which documents, in Elasticsearch's query DSL, as {range: {amount: {gte: 10}}}.",
    )
    fields: tuple[str, ...] = Field(
        default=(), strict=False, description="Names or patterns of the fields to read; all by default."
    )
    lists: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Names or patterns of fields that may have several values in one document: they become lists.",
    )
    sort: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Fields that say the order of the rows, `-` before a name for the greatest first.",
    )
    page: int = Field(default=1000, ge=1, le=10_000, description="How many documents come in one answer.")
    keep_alive: Duration = Field(
        default=300.0, ge=1, le=86_400, description="How long the server waits for the next page."
    )
    timeout: Duration = Field(default=60.0, gt=0, le=600, description="How long one answer may take.")


class Elasticsearch(ServedSource[ElasticsearchSource]):
    """An index, an alias, a data stream or a pattern of them. A server has no fingerprint.

    A point in time is opened and read by `search_after`: documents that come or go meanwhile change nothing. The server
    makes the values (its `fields` option), so that dates of any format, objects in lists and coerced numbers come as
    the mapping has them.
    """

    def uri(self) -> str:
        return f"{self.options.elasticsearch}/{self.options.index}"

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        options = self.options
        client = connect(options.elasticsearch, options, options.timeout)
        try:
            with self._told(client):
                shape = self._shape(client)
            fields = Fields(shape, options.lists, self.uri())
            for hits in self._pages(client, fields, self._wanted(after)):
                yield fields.batch(hits)
        finally:
            client.close()

    def _shape(self, client: Client) -> Shape:
        """The columns that are wanted of those that the mapping has."""
        mappings = client.indices.get_mapping(index=self.options.index).body
        if not mappings:
            raise self._no_index(client)
        there = fields_of([each["mappings"] for each in mappings.values()])
        if not there:
            raise DataError(f"'{self.uri()}' has no fields", why="nothing was ever put into it")
        return named(there, (*self.options.fields, *self.options.lists), self.options.fields, self.uri())

    def _wanted(self, after: Any) -> Mapping[str, Any]:
        """The query for the documents that are wanted, from a value of the cursor on where one is given."""
        query = self.options.query or {"match_all": {}}
        if after is None:
            return query
        assert self.options.incremental is not None
        since = {"gte": after}
        if isinstance(after, dt.datetime):
            since = {"gte": after.isoformat(), "format": "strict_date_optional_time"}
        return {"bool": {"filter": [query, {"range": {self.options.incremental.cursor: since}}]}}

    def _pages(
        self, client: Client, fields: Fields, wanted: Mapping[str, Any]
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The documents that a query wants, a page at a time."""
        options, keep = self.options, f"{max(1, round(self.options.keep_alive))}s"
        with self._told(client):
            point = client.open_point_in_time(index=options.index, keep_alive=keep)["id"]
        after: dict[str, Any] = {}
        try:
            while True:
                with self._told(client):
                    found = client.search(
                        pit={"id": point, "keep_alive": keep},
                        query=wanted,
                        sort=[*map(_order, options.sort), {"_shard_doc": "asc"}],
                        size=options.page,
                        fields=fields.asked,
                        source=False,
                        track_total_hits=False,
                        allow_partial_search_results=False,
                        **after,
                    ).body
                point, hits = found.get("pit_id", point), found["hits"]["hits"]
                if hits:
                    yield hits
                if len(hits) < options.page:
                    return
                after = {"search_after": hits[-1]["sort"]}
        finally:
            with suppress(ElasticFault), explained():
                client.close_point_in_time(id=point)

    @contextmanager
    def _told(self, client: Client) -> Iterator[None]:
        """What goes wrong, told of this source."""
        try:
            with explained():
                yield
        except ElasticFault as fault:
            if fault.kind == "index_not_found_exception":
                raise self._no_index(client) from None
            fix = fault.fix
            if "search context" in fault.said:
                fix = "give it longer between two pages, as `keep_alive: 10m`"
            elif fault.status == 400:
                fix = fix or "check `query` and `sort`"
            raise DataError(f"'{self.uri()}' cannot be read", why=fault.said, fix=fix) from None

    def _no_index(self, client: Client) -> DataError:
        """That there is no such index, and the nearest that there is."""
        known: list[str] = []
        with suppress(ElasticFault), explained():
            for name, said in client.indices.get_alias(index="*").body.items():
                known += [name, *said.get("aliases", {})]
        return DataError(
            f"no index '{self.options.index}' at {self.options.elasticsearch}",
            fix=did_you_mean(self.options.index, [name for name in known if not name.startswith(".")]),
        )


def _order(field: str) -> dict[str, str]:
    """
    >>> _order("-@timestamp"), _order("id")
    ({'@timestamp': 'desc'}, {'id': 'asc'})
    """
    return {field[1:]: "desc"} if field.startswith("-") else {field: "asc"}
