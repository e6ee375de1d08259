"""Puts templates and policies into an Elasticsearch; to do it again changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bessemer.core.elastic.faults import ElasticFault, explained
from bessemer.core.elastic.templates import component_templates, index_templates, policies

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

#: What servers say that have no index lifecycle management: those that are compatible, and Elastic's serverless.
_NO_SUCH = ("no handler found", "api_not_available_exception", "not available")


@dataclass
class SetUp:
    """What was put. lifecycle: whether the server has index lifecycle management; else its indices stay."""

    put: list[str] = field(default_factory=list)
    lifecycle: bool = True


def set_up(client: Elasticsearch, prefix: str) -> SetUp:
    """Put policies, component templates and index templates, in the order in which they need each other.

    Raises:
        ElasticFault: the server was not reached, or does not allow it.
    """
    done = SetUp()
    with explained():
        done.lifecycle = _put_policies(client, prefix, done)
        for name, body in component_templates(prefix, lifecycle=done.lifecycle):
            client.cluster.put_component_template(name=name, **body)
            done.put.append(f"component template {name}")
        for name, body in index_templates(prefix):
            named = {key.lstrip("_"): value for key, value in body.items()}
            client.indices.put_index_template(name=name, **named)
            done.put.append(f"index template {name}")
    return done


def _put_policies(client: Elasticsearch, prefix: str, done: SetUp) -> bool:
    for name, body in policies(prefix):
        try:
            with explained():
                client.ilm.put_lifecycle(name=name, policy=body)
        except ElasticFault as fault:
            if any(word in f"{fault.said} {fault.kind}" for word in _NO_SUCH):
                return False
            raise
        done.put.append(f"lifecycle policy {name}")
    return True


def ready(client: Elasticsearch, prefix: str) -> None:
    """Put what is missing, before the first document: a field that came without a template has its type for ever.

    Where the key may not look at templates, they are taken to be there.

    Raises:
        ElasticFault: as `set_up`.
    """
    try:
        with explained():
            there = all(
                client.indices.exists_index_template(name=name) for name, _ in index_templates(prefix)
            )
    except ElasticFault as fault:
        if fault.status == 403:
            return
        raise
    if not there:
        set_up(client, prefix)
