"""Tools that hold a table to rules: what each needs, and its program as its own documentation has it.

A program reads argv[1], a Parquet file, and argv[2], the rules (JSON, see `benchmarks/validation.py`), and prints one
line of JSON: seconds and CPU seconds from before reading to the result, the peak of its memory in MB (VmHWM), and how
many rows break which rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peers.environment import made


@dataclass(frozen=True)
class ValidationTool:
    """title: as the table shows it. requirements: its environment. program: see the module."""

    title: str
    requirements: tuple[str, ...]
    program: str


_READ = """
import json, sys, time
rules = json.load(open(sys.argv[2]))
def done(broken):
    status = open("/proc/self/status").read().split()
    peak = int(status[status.index("VmHWM:") + 1]) / 1024
    used = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    print(json.dumps({**used, "peak": peak, "broken": broken}))
"""

_PANDERA = """
import pandera.polars as pa, polars as pl
started, cpu = time.perf_counter(), time.process_time()
checks, columns, unique = [], {}, set()
for rule in rules:
    name, kind, value = rule["column"], rule["kind"], rule.get("value")
    own = columns.setdefault(name, {"checks": [], "nullable": True, "unique": False})
    if kind == "nullable": own["nullable"] = False
    elif kind == "unique": own["unique"] = True
    elif kind == "min": own["checks"].append(pa.Check.ge(value))
    elif kind == "max": own["checks"].append(pa.Check.le(value))
    elif kind == "values": own["checks"].append(pa.Check.isin(value))
    elif kind == "pattern": own["checks"].append(pa.Check.str_matches(f"^(?:{value})$"))
    elif kind == "less":
        a, b = rule["columns"]
        columns.pop(name)
        checks.append(pa.Check(lambda d, a=a, b=b: d.lazyframe.select(pl.col(a) <= pl.col(b))))
schema = pa.DataFrameSchema({name: pa.Column(**own) for name, own in columns.items()}, checks=checks)
broken = {}
try:
    schema.validate(pl.read_parquet(sys.argv[1]), lazy=True)
except pa.errors.SchemaErrors as found:
    names = {
        "not_nullable": "nullable", "field_uniqueness": "unique", "greater_than": "min", "less_than": "max",
        "isin": "values", "str_matches": "pattern",
    }
    for row in found.failure_cases.group_by("column", "check").len().iter_rows(named=True):
        check = row["check"]
        known = next((k for k in names if check.startswith(k)), None)
        broken[f"{row['column']}: {names[known]}" if known else check] = row["len"]
done(broken)
"""

_POINTBLANK = """
import pointblank as pb, polars as pl
started, cpu = time.perf_counter(), time.process_time()
plan = pb.Validate(pl.read_parquet(sys.argv[1]))
for rule in rules:
    name, kind, value = rule["column"], rule["kind"], rule.get("value")
    if kind == "nullable": plan = plan.col_vals_not_null(name)
    elif kind == "unique": plan = plan.rows_distinct(name)
    elif kind == "min": plan = plan.col_vals_ge(name, value, na_pass=True)
    elif kind == "max": plan = plan.col_vals_le(name, value, na_pass=True)
    elif kind == "values": plan = plan.col_vals_in_set(name, value)
    elif kind == "pattern": plan = plan.col_vals_regex(name, f"^(?:{value})$", na_pass=True)
    elif kind == "less":
        a, b = rule["columns"]
        plan = plan.col_vals_le(a, pb.col(b), na_pass=True)
failed = plan.interrogate(collect_extracts=False).n_failed()
done({rule["name"]: failed[i + 1] for i, rule in enumerate(rules) if failed[i + 1]})
"""

_GREAT_EXPECTATIONS = """
import os
os.environ["GX_ANALYTICS_ENABLED"] = "false"
import great_expectations as gx, great_expectations.expectations as gxe, pandas as pd
started, cpu = time.perf_counter(), time.process_time()
context = gx.get_context(mode="ephemeral")
asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": pd.read_parquet(sys.argv[1])})
suite = gx.ExpectationSuite(name="s")
for rule in rules:
    name, kind, value = rule["column"], rule["kind"], rule.get("value")
    if kind == "nullable": made = gxe.ExpectColumnValuesToNotBeNull(column=name)
    elif kind == "unique": made = gxe.ExpectColumnValuesToBeUnique(column=name)
    elif kind == "min": made = gxe.ExpectColumnValuesToBeBetween(column=name, min_value=value)
    elif kind == "max": made = gxe.ExpectColumnValuesToBeBetween(column=name, max_value=value)
    elif kind == "values": made = gxe.ExpectColumnValuesToBeInSet(column=name, value_set=value)
    elif kind == "pattern": made = gxe.ExpectColumnValuesToMatchRegex(column=name, regex=f"^(?:{value})$")
    elif kind == "less":
        a, b = rule["columns"]
        made = gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=b, column_B=a, or_equal=True, ignore_row_if="either_value_is_missing"
        )
    made.meta = {"name": rule["name"]}
    suite.add_expectation(made)
found = batch.validate(suite, result_format="BASIC")
done({
    one.expectation_config.meta["name"]: one.result["unexpected_count"]
    for one in found.results if not one.success
})
"""

TOOLS = {
    "pandera": ValidationTool(
        "pandera 0.35.0 on polars", ("pandera[polars]==0.35.0", "pyarrow"), _READ + _PANDERA
    ),
    "pointblank": ValidationTool(
        "pointblank 1.1.1 on polars", ("pointblank[pl]==1.1.1", "pyarrow"), _READ + _POINTBLANK
    ),
    "great_expectations": ValidationTool(
        "Great Expectations 1.24.1 on pandas",
        ("great-expectations==1.24.1", "pyarrow", "pandas<3"),
        _READ + _GREAT_EXPECTATIONS,
    ),
}


def python(name: str) -> Path:
    """The interpreter of a tool's environment, which is made when it is not there, or was made of something else.

    Raises:
        CalledProcessError: pip could not.
    """
    return made(f"validation-{name}", TOOLS[name].requirements)
