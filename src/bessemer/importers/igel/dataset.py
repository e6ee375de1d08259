"""igel's dataset: where the data is, how it is read, split and preprocessed."""

from __future__ import annotations

from pathlib import Path

from bessemer.core.sql import quote
from bessemer.importers.draft import Draft, kind_of
from bessemer.importers.section import Hints, Section, is_number

#: Endings that say nothing about what is in a file.
_PLAIN_FILES = ("", ".dat", ".data")
#: pandas' default texts of a missing value, where `keep_default_na` keeps them.
_NULLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"]
_DTYPES = {
    "int": "integer", "int32": "integer", "int64": "integer", "float": "number", "float32": "number",
    "float64": "number", "str": "string", "string": "string", "object": "string", "category": "string",
    "bool": "boolean", "boolean": "boolean", "datetime64[ns]": "timestamp", "datetime64": "timestamp",
}  # fmt: skip

_READING: Hints = {
    "names": ("the file's first line names the columns", "acquire.sql, which can rename them"),
    "skiprows": ("a file is read from its first line", "a file without those lines"),
    "skipfooter": ("a file is read to its end", "a `where` in acquire.sql"),
    "decimal": ("numbers have a decimal point", "cast(replace(...) as double) in acquire.sql"),
    "thousands": ("numbers have no separator of thousands", "cast(replace(...) as double) in acquire.sql"),
    "true_values": ("true and false are read as they are", "a case in acquire.sql"),
    "false_values": ("true and false are read as they are", "a case in acquire.sql"),
    "converters": ("no code is run", "acquire.sql"),
    "date_parser": ("no code is run", "try_strptime in acquire.sql"),
    "dayfirst": ("times are read year first", "try_strptime in acquire.sql"),
}
#: Options that change how pandas works, not what it reads.
_PANDAS = (
    "engine", "verbose", "low_memory", "memory_map", "cache_dates", "infer_datetime_format", "squeeze",
    "skipinitialspace", "skip_blank_lines", "mangle_dupe_cols", "keep_date_col", "na_filter",
)  # fmt: skip
_HINTS: Hints = {
    "test_file": ("test rows come from the data", "prepare.split.given, after joining both in acquire.sql"),
    "protected_attributes": ("no column is protected", "evaluate.slices"),
}
_NETWORK = ("batch_size", "image_height", "image_width")


def read(data: Section, draft: Draft, *, classes: bool) -> None:
    """Set the source, `prepare.split`, `seed` and what there is of preprocessing."""
    for key in ("path", "data_path", "train_file", "file"):
        if (path := data.text(key)) is not None and draft.data is None:
            draft.data = draft.locate(path)
    kind = data.text("type")
    if draft.data is not None and kind in ("csv", "txt"):
        draft.is_csv = Path(draft.data).suffix.lower() in _PLAIN_FILES
    elif kind not in (None, "csv", "json", "txt"):
        data.lost("type", f"{kind} is not read", "a CSV, JSON or Parquet file, or a database")
    data.any("name")
    _reading(data.section("read_data_options"), draft)
    if draft.reading and draft.data is not None and kind_of(draft.data) != "csv":
        data.lost("read_data_options", f"{draft.data} is no CSV file", "acquire.sources")
        draft.reading.clear()
    _random(data.section("random_numbers"), draft)
    _split(data, draft, classes=classes)
    _preprocess(data, draft)
    for key in _NETWORK:
        data.lost(key, "for networks on pictures")
    data.lose(_HINTS, "no key of igel's dataset that is known here")


def _reading(options: Section, draft: Draft) -> None:
    for key in ("sep", "delimiter", "separator"):
        if (separator := options.text(key)) is None:
            continue
        if 1 <= len(separator) <= 4 and not separator.startswith("\\s"):
            draft.reading["delimiter"] = separator.replace("\\t", "\t")
        else:
            options.lost(key, "a separator is a text of 1 to 4 characters", "acquire.sources.data.delimiter")
    if (mark := options.text("quotechar")) is not None and len(mark) == 1:
        draft.reading["quote"] = mark
    if (encoding := options.text("encoding")) is not None:
        draft.reading["encoding"] = encoding
    _header(options, draft)
    _nulls(options, draft)
    _types(options, draft)
    _rows_and_columns(options, draft)
    for key in _PANDAS:
        options.any(key)
    options.lose(_READING, "no option of reading here", "acquire.sources, or acquire.sql")


def _header(options: Section, draft: Draft) -> None:
    header = options.any("header")
    if header in ("None", "none") or header is False:
        draft.reading["header"] = False
    elif header is not None and header not in (0, "infer"):
        options.lost("header", "the first line has the names, or none does", "acquire.sources.data.header")


def _nulls(options: Section, draft: Draft) -> None:
    given = options.any("na_values")
    kept = options.flag("keep_default_na")
    if isinstance(given, dict):
        options.lost("na_values", "missing values are written alike in all columns", "nullif in acquire.sql")
        return
    texts = options.texts("na_values")
    if texts or kept is False:
        draft.reading["null"] = list(dict.fromkeys([*(_NULLS if kept is not False else []), *texts]))


def _types(options: Section, draft: Draft) -> None:
    types: dict[str, str] = {}
    dtype = options.any("dtype")
    if isinstance(dtype, dict):
        for column, said in dtype.items():
            if str(said).lower() in _DTYPES:
                types[column] = _DTYPES[str(said).lower()]
            else:
                draft.findings.lost(
                    f"{options.at('dtype')}.{column}", said, "no type of a column", "a cast in acquire.sql"
                )
    else:
        options.lost("dtype", "types are said for each column", "acquire.sources.data.types")
    dates = options.any("parse_dates")
    if isinstance(dates, list) and all(isinstance(name, str) for name in dates):
        types |= dict.fromkeys(dates, "timestamp")
    elif not isinstance(dates, bool):
        options.lost("parse_dates", "columns are named", "acquire.sources.data.types")
    if types:
        draft.reading["types"] = types


def _rows_and_columns(options: Section, draft: Draft) -> None:
    index = options.any("index_col")
    if isinstance(index, str) and index != "None":
        draft.exclude(index)
    elif index not in (None, "None") and index is not False:
        options.lost("index_col", "columns are named, not counted", "prepare.exclude: [COLUMN]")
    used = options.any("usecols")
    if isinstance(used, list) and used and all(isinstance(name, str) for name in used):
        excluded = draft.get("prepare.exclude") or []
        names = dict.fromkeys([*used, draft.target, *excluded])
        draft.selected = {name: quote(name) for name in names}
    else:
        options.lost("usecols", "columns are named, not counted", "the columns in acquire.sql")
    rows = options.integer("nrows")
    if rows is not None and rows > 0:
        draft.limit = rows


def _random(options: Section, draft: Draft) -> None:
    if options.flag("generate_reproducible") is False:
        return
    seed = options.integer("seed")
    if seed is None and "generate_reproducible" in options:
        seed = 42
    if seed is not None and 0 <= seed < 2**32:
        draft.put("seed", seed)
    options.lose({}, "every random choice comes from one seed", "seed")


def _split(data: Section, draft: Draft, *, classes: bool) -> None:
    split = data.section("split")
    if "split" not in data:
        why = "igel trains on all rows and scores the same ones; here test rows are kept apart"
        draft.findings.near("dataset.split", "not said", "prepare.split: 20% test, 15% valid", why)
    test = split.any("test_size")
    if is_number(test) and 0 < test < 1:
        draft.put("prepare.split.test", f"{test * 100:.6g}%")
        if test + 0.15 >= 0.95:
            draft.put("prepare.split.valid", f"{(1 - test) * 25:.6g}%")
    elif test is not None:
        split.lost("test_size", "a share between 0 and 1", "prepare.split.test")
    stratified = split.any("stratify")
    if stratified in (None, "None", "none", "default", "Default", False):
        if classes and "split" in data:
            draft.put("prepare.split.method", "random")
    elif classes:
        draft.put("prepare.split.method", "stratified")
    else:
        split.lost(
            "stratify", "a number has no classes to keep the shares of", "prepare.split.method: random"
        )
    if split.flag("shuffle") is False:
        split.lost(
            "shuffle", "rows are drawn, whatever their order", "prepare.split.by: COLUMN, the last rows test"
        )
    split.lose({}, "no setting of igel's split that is known here", "prepare.split")


def _preprocess(data: Section, draft: Draft) -> None:
    """igel's preprocessing; an early form has the keys in `dataset` itself."""
    preprocess = data.section("preprocess")
    for section in (preprocess, data):
        if section.text("missing_values") not in (None, "None"):
            why = "missing stays missing: trees learn where it goes, linear fills in the median; no row is dropped"
            section.near("missing_values", "missing values as they are", why)
    _encoding(preprocess, draft)
    scale = preprocess.section("scale", word="method")
    if scale.text("method") not in (None, "None"):
        why = "trees need no scaling; linear and mlp standardise by themselves"
        scale.near("method", "numbers as they are", why)
    if scale.text("target") in ("outputs", "all"):
        scale.near("target", "the target as it is", "predictions are in the target's own unit")
    scale.lose({}, "no setting of igel's scaling that is known here")
    preprocess.lose({}, "no preprocessing of igel that is known here", "prepare")
    for key, nearest in (("categorical_encoding", "prepare.columns"), ("scaling", "")):
        data.lost(key, "columns become features by their type", nearest)


def _encoding(preprocess: Section, draft: Draft) -> None:
    encoding = preprocess.section("encoding", word="type")
    kind = (encoding.text("type") or "none").lower()
    column = encoding.text("column")
    if kind == "onehotencoding":
        draft.put("prepare.max_onehot", 1000)
        draft.put("prepare.target_mean", False)
        why = "an indicator a level, for texts of up to 1,000 levels"
        encoding.near("type", "prepare.max_onehot: 1000", why)
    elif kind == "labelencoding" and column and column != draft.target:
        draft.column(column, **{"as": "categorical"})
        why = "a category is encoded by its levels, not by their order in the alphabet"
        encoding.near("type", f"prepare.columns.{column}.as: categorical", why)
    elif kind not in ("none", "labelencoding"):
        encoding.lost("type", "no encoding of igel", "prepare.columns")
    encoding.lose({}, "no setting of igel's encoding that is known here")
