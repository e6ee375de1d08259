"""Spark on a real standalone cluster, `spark://`: the same table as here, also where a worker dies in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.engines.remote import Remote
from bessemer.engines.spark import Spark, SparkSettings
from engines.agreement import agrees, context, duckdb_rows, landed_rows, remote
from engines.cases import CASES, tables
from systems.spark import JAVA, Cluster, cluster

pytestmark = pytest.mark.slow
FILES, ROWS = 8, 200
#: Seconds that nothing of this takes where the machine is not shared.
PATIENCE = 300
#: Nothing is counted out of proportion to how long it takes: each pair is hashed.
LONG = """
select a.id % 5 as k, count(*) as n, max(md5(a.text || b.text || a.text)) as h, sum(a.id * b.id) as s
from numbers a cross join numbers b cross join (select id from numbers where id < {times}) c
group by 1 order by 1
"""


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def engine(standalone: Cluster) -> Iterator[Spark]:
    config = {
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.executor.memory": "500m",
        "spark.executor.cores": "1", "spark.sql.shuffle.partitions": "2", "spark.sql.files.maxPartitionBytes": "4m",
        "spark.sql.adaptive.enabled": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false", "spark.ui.enabled": "false", "spark.executor.extraJavaOptions": JAVA,
    }  # fmt: skip
    folder = standalone.folder / "shared"
    settings = SparkSettings(master=standalone.url, folder=str(folder), config=config)
    made = Spark(settings, context(standalone.folder))
    yield made
    made.close()


@pytest.fixture(scope="module")
def there(engine: Spark, standalone: Cluster) -> Remote:
    made = remote(engine, "spark", tables(), standalone.folder)
    files = []
    for number in range(FILES):
        files.append(standalone.folder / f"numbers-{number}.parquet")
        pq.write_table(numbers().slice(number * ROWS, ROWS), files[-1])
    made.add("numbers", engine.load("numbers", files))
    return made


def numbers() -> pa.Table:
    ids = range(FILES * ROWS)
    return pa.table({"id": pa.array(ids, pa.int64()), "text": [f"row {number}" * 20 for number in ids]})


@pytest.mark.parametrize("name", ["groups", "zones"])
def test_the_table_is_the_one_of_duckdb(name: str, there: Remote, tmp_path: Path) -> None:
    agrees(CASES[name], there, tmp_path, landed_rows)


def executors(engine: Spark) -> list[Any]:
    """Those that run tasks: the driver is told too, and runs none."""
    found = engine.session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    return [each for each in found if each.numRunningTasks()]


def died_on_the_way(times: int, engine: Spark, there: Remote, standalone: Cluster, found: list[Any]) -> bool:
    """Whether a worker was killed while both had something to do; the query's answer goes into `found`."""
    asked = threading.Thread(target=lambda: found.append(landed_rows(LONG.format(times=times), there)))
    asked.start()
    end = time.monotonic() + PATIENCE
    while asked.is_alive() and len(executors(engine)) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    between = asked.is_alive()
    if between:
        standalone.kill(1)
        between = asked.is_alive()
        asked.join(PATIENCE)
        standalone.revive(1)
    return between


def test_a_worker_that_dies_in_the_middle_changes_nothing(
    engine: Spark, there: Remote, standalone: Cluster, tmp_path: Path
) -> None:
    """Where the query ended before that, it is a longer one."""
    for times in (1, 4, 16, 64, 256):
        found: list[Any] = []
        died = died_on_the_way(times, engine, there, standalone, found)
        columns, rows = duckdb_rows(LONG.format(times=times), {"numbers": numbers()}, tmp_path)
        assert [(name, sorted(answer)) for name, answer in found] == [(columns, sorted(rows))]
        assert sum(row[1] for row in rows) == times * (FILES * ROWS) ** 2
        if died:
            return
    raise AssertionError("no query was long enough")
