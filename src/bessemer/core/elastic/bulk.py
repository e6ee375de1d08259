"""Documents into indices, a thousand at a time; to send the same again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer.core.elastic.faults import explained, of_answer

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_DOCUMENTS = 1000
_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Document:
    """id: the same document has the same, whenever it is sent."""

    index: str
    id: str
    source: Mapping[str, Any]


@dataclass
class Sent:
    """taken: documents that are there now. refused: those that never will be; why: what was said of the first."""

    taken: int = 0
    refused: int = 0
    why: str = ""


def send(client: Elasticsearch, documents: Iterable[Document], retries: int = 3) -> Sent:
    """Index documents, streaming: at most a thousand, or 8 MiB, are held.

    Args:
        retries: how often what the server is too busy for is sent again, after a pause.

    A document that the server refuses for what it is (a date that is none, say) is counted, and the others go on.

    Raises:
        ElasticFault: the server was not reached, or takes no more at this moment. What came before may be there.
    """
    from elasticsearch import helpers

    done = Sent()
    # under `_source` no field of the document is taken for one of the action: `version` is, otherwise
    actions = (
        {"_op_type": "index", "_index": each.index, "_id": each.id, "_source": each.source}
        for each in documents
    )
    with explained():
        answers = helpers.streaming_bulk(
            client,
            actions,
            _DOCUMENTS,
            _BYTES,
            raise_on_error=False,
            max_retries=retries,
            initial_backoff=0.5,
        )
        for good, answer in answers:
            if good:
                done.taken += 1
            else:
                _refused(done, next(iter(answer.values())))
    return done


def _refused(done: Sent, said: Mapping[str, Any]) -> None:
    fault = of_answer(int(said.get("status", 0)), said)
    if fault.passes:
        raise fault
    done.refused += 1
    done.why = done.why or f"{said.get('_index')}: {fault.said}"
