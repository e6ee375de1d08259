"""Acquire: sources in, one snapshot out.

Each source is opened by its plug-in. With `sql`, the sources are the tables of one SELECT on the engine;
without, there is one source and it is the data. The user's Python function comes after that. The
result lands with five column types (see `landing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.at_engine import AtEngine
from bessemer.acquire.batches import spool
from bessemer.acquire.incremental.identity import identity
from bessemer.acquire.incremental.read import Reader, Reading, asked_of
from bessemer.acquire.incremental.state import folder_name, forget_all_but
from bessemer.acquire.landing import land
from bessemer.acquire.personal import Door, key_mark
from bessemer.acquire.plugins import SOURCES
from bessemer.acquire.protocol import Place, Relation, Source
from bessemer.acquire.spec import AcquireSpec, PluginSource, kind_of
from bessemer.acquire.usercode import clean, code_digest
from bessemer.core.errors import BessemerError, Fault, ProjectError
from bessemer.core.parquet import machine_explained, write_parquet
from bessemer.core.redaction import hidden
from bessemer.core.sql import for_width, literal, quote
from bessemer.core.store import file_digest
from bessemer.engines.columns import Column, check_names, describe
from bessemer.engines.plugins import EMBEDDED, ENGINES

if TYPE_CHECKING:
    from bessemer.core.artifact import ArtifactRef
    from bessemer.core.stage import Context


def _source(name: str, options: Any) -> Source:
    kind = kind_of(options)
    given = options.model_extra if isinstance(options, PluginSource) else options
    made: Source = SOURCES.load(kind)(name, given)
    return made


def fingerprint(
    spec: AcquireSpec, project_dir: Path, memo: MutableMapping[str, str] | None = None
) -> dict[str, str]:
    """What the stage depends on outside the store: the sources' content and the user's code.

    Args:
        memo: kept by the caller between runs, so that a file that is as it was is not read again.

    Raises:
        DataError, ProjectError: a file or a module is not there.
    """
    place = Place(project_dir, {} if memo is None else memo)
    found = {f"source {name}": _source(name, s).fingerprint(place) for name, s in spec.sources.items()}
    if spec.python:
        found["code"] = code_digest(project_dir, spec.python)
    if "hash" in spec.personal.values():
        found["personal"] = key_mark(spec.personal_key_env)
    return found


@dataclass
class _Opened:
    """A source on the way into the run: what to select it with, and what the record says of it.

    in_place: whether it is read where it is, at the engine.
    """

    relation: Relation
    record: dict[str, Any] = field(default_factory=dict)
    in_place: bool = False


def run(spec: AcquireSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Read the sources and land the snapshot.

    Raises:
        ProjectError: the section cannot mean anything with these sources.
        DataError: a source cannot be read, or there is nothing to learn from.
        StoreError: disk full or read-only.
    """
    if not spec.sources:
        what = "nothing says where the data is"
        raise ProjectError(
            [Fault("acquire.sources", None, what, "add `data: FILE`, or `acquire: {sources: ...}`")]
        )
    door = Door(spec.personal, spec.personal_key_env)
    with door.kept_clean(ctx) as clean_ctx:
        return _run(spec, door, clean_ctx, ctx.cache / "incremental")


def _run(spec: AcquireSpec, door: Door, ctx: Context, kept: Path) -> dict[str, ArtifactRef]:
    connection = ctx.connect()
    target = ctx.temporary("data.parquet")
    engine, whole = None, None
    try:
        if spec.engine_name != EMBEDDED:
            engine = AtEngine(spec, ctx)
        with machine_explained("reading the sources into", ctx.workdir):
            opened = _open_all(spec, door, connection, ctx, kept, engine)
            if engine is None:
                columns = _query(spec, opened, connection, target, ctx)
            else:
                _bring(opened, engine, connection)
                columns, whole = engine.land({n: e.record for n, e in opened.items()}, connection, target)
            if spec.python:
                columns = _cleaned(spec.python, target, ctx)
            rows = (
                ctx.connect().execute(f"SELECT count(*) FROM read_parquet({literal(target)})").fetchone()[0]
            )
    finally:
        connection.close()
        if engine is not None:
            engine.close()
    for entry in opened.values():
        entry.record.setdefault("rows", rows)
        if entry.in_place and whole is None:  # of its content no more is known than what landed
            entry.record["fingerprint"] = file_digest(target)[0]
    meta = {
        "rows": rows,
        "columns": [{"name": column.name, "dtype": column.dtype} for column in columns],
        "sources": {name: entry.record for name, entry in opened.items()},
        "sql": spec.sql,
        **({"whole": whole} if whole else {}),
    }
    ctx.note(f"{rows:,} rows and {len(columns):,} columns")
    return {"raw": ctx.store.put("raw", {"data.parquet": target}, meta)}


def _open_all(
    spec: AcquireSpec, door: Door, connection: Any, ctx: Context, kept: Path, engine: AtEngine | None
) -> dict[str, _Opened]:
    opened: dict[str, _Opened] = {}
    waiting: dict[str, Reading] = {}
    place = Place(ctx.project_dir)
    with ctx.progress("reading sources", len(spec.sources)) as bar:
        for name, options in spec.sources.items():
            source = _source(name, options)
            # what is done to rows on their way here is not done there
            bring = door.personal or asked_of(options)
            if engine and not bring and engine.find(name, kind_of(options), options):
                mark = hashlib.sha256(source.fingerprint(place).encode()).hexdigest()
                record = {"kind": kind_of(options), "uri": hidden(source.uri()), "fingerprint": mark}
                opened[name] = _Opened(Relation(), record, in_place=True)
                bar.advance()
                continue
            if asked_of(options):
                found = waiting[name] = _newer(source, name, spec, door, ctx, kept)
                record = {
                    "kind": kind_of(options),
                    "uri": hidden(source.uri()),
                    "fingerprint": found.fingerprint,
                }
                opened[name] = _Opened(Relation(), {**record, "position": found.position})
                if not door.personal:
                    opened[name].relation = waiting.pop(name).keep()
                bar.advance()
                continue
            with door.unquoted(name, opening=True):
                relation = source.open(connection, ctx)
            relation = door.through(
                name, relation, connection, ctx.workdir / f"personal-{len(opened)}.parquet"
            )
            if relation.batches is not None:
                query, parts = spool(
                    relation.batches, ctx.workdir / "batches" / str(len(opened)), f"source '{name}'"
                )
                relation = Relation(query, direct=True, files=parts)
                content = hashlib.sha256("".join(file_digest(p)[0] for p in parts).encode()).hexdigest()
            else:
                content = source.fingerprint(place)
            if content.startswith("always:"):
                content = hashlib.sha256(
                    "".join(file_digest(p)[0] for p in relation.files).encode()
                ).hexdigest()
            record = {"kind": kind_of(options), "uri": hidden(source.uri()), "fingerprint": content}
            opened[name] = _Opened(relation, record)
            bar.advance()
    door.check()
    for (
        name,
        found,
    ) in waiting.items():  # not before: a slip in `personal` would have kept the values as they are
        opened[name].relation = found.keep()
    forget_all_but(kept, [name for name, options in spec.sources.items() if asked_of(options)])
    return opened


def _newer(source: Source, name: str, spec: AcquireSpec, door: Door, ctx: Context, kept: Path) -> Reading:
    """A source of which only what is new is read; personal data is changed before it is kept."""
    options = spec.sources[name]
    asked = asked_of(options)
    assert asked is not None
    cursors = {asked.cursor.lower(), f"{name}.{asked.cursor}".lower()}
    if changed := next((each for each in door.personal if each.lower() in cursors), None):
        what = f"the cursor of source '{name}' is personal: changed values do not say how far it was read"
        raise ProjectError([Fault(f"acquire.personal.{changed}", None, what, "name another cursor")])
    settings = [
        kind_of(options),
        identity(options, f"acquire.sources.{name}"),
        spec.version,
        door.personal,
        key_mark(spec.personal_key_env) if "hash" in door.personal.values() else "",
    ]
    work = ctx.workdir / "newer" / folder_name(name)
    reader = Reader(
        source, name, asked, settings, ctx, kept, work,
        lambda batches: door.batches(name, batches), bool(door.personal),
    )  # fmt: skip
    return reader.read()


def _bring(opened: dict[str, _Opened], engine: AtEngine, connection: Any) -> None:
    """Take the sources to the engine that are not there."""
    import duckdb

    for name, entry in opened.items():
        if not entry.relation.query:
            continue
        check_names([n for n in entry.relation.header if n], lambda: "rename them at the source")
        try:
            entry.record["rows"] = engine.bring(name, entry.relation.query, connection)
        except duckdb.Error as error:
            raise _reading(error, entry.relation) from error


def _query(
    spec: AcquireSpec, opened: dict[str, _Opened], connection: Any, target: Path, ctx: Context
) -> list[Column]:
    import duckdb

    if not spec.sql:
        name, entry = next(iter(opened.items()))
        relation = entry.relation
        check_names([n for n in relation.header if n], lambda: _renamed(connection, name, relation))
        try:
            for_width(connection, len(describe(connection, f"({relation.query})")))
            return land(connection, f"({relation.query})", target, ctx, spec.images)
        except duckdb.Error as error:
            raise _reading(error, relation) from error
    engine = ENGINES.load(spec.engine_name)(connection, ctx)
    readable: list[Path] = []
    for number, (name, entry) in enumerate(opened.items()):
        query, files = _table(entry.relation, ctx.workdir / f"source-{number}.parquet", connection)
        readable += files
        entry.record["rows"] = engine.add(name, query)
    result = engine.select(spec.sql, readable)
    with ctx.progress("running the SQL"):
        try:
            return land(connection, result, target, ctx, spec.images)
        except duckdb.Error as error:
            raise engine.explain(error) from error


def _renamed(connection: Any, source: str, relation: Relation) -> str:
    """The SQL that leaves duplicate columns out, by the names DuckDB gave them."""
    names = [name for name, _ in describe(connection, f"({relation.query})")]
    new = ", ".join([quote(name) for name in names if name not in relation.header][:3])
    sql = f"select * exclude ({new}) from {quote(source)}"
    return f"rename them at the source, or leave some out, as in `acquire: {{sql: '{sql}'}}`"


def _table(relation: Relation, landed: Path, connection: Any) -> tuple[str, list[Path]]:
    """A query that is cheap to run more than once: text is parsed one time and kept as Parquet."""
    import duckdb

    if relation.direct:
        return relation.query, list(relation.files)
    try:
        write_parquet(connection, relation.query, landed)
    except duckdb.Error as error:
        raise _reading(error, relation) from error
    return f"SELECT * FROM read_parquet({literal(landed)})", [landed]


def _reading(error: Exception, relation: Relation) -> BaseException:
    """The source's own words for an error of DuckDB; the error itself where the source has none."""
    import duckdb

    if isinstance(error, duckdb.OutOfMemoryException) or relation.explain is None:
        return error
    return relation.explain(error)


def _cleaned(function: str, target: Path, ctx: Context) -> list[Column]:
    """Run the user's function over what was landed and land what it gives."""
    try:
        query, _ = spool(clean(target, function, ctx), ctx.workdir / "cleaned", f"'{function}'")
    except BessemerError:
        target.unlink(missing_ok=True)
        raise
    result = target.with_name("cleaned.parquet")
    columns = land(ctx.connect(), f"({query})", result, ctx)
    result.replace(target)
    return columns
