"""The prediction log: what a served model was asked, what it said, and what turned out to be true.

docs/prediction-log.md is the format. `read.read_log` reads it; `bessemer.serve.log` writes it.

layout.py     names of folders and files        model.py    what is logged of a model, as Arrow schemas
journal.py    records, frames, segments         values.py   JSON values and tensors -> Arrow columns
convert.py    a segment -> typed batches        parts.py    batches -> Parquet files
sampling.py   which requests are in             read.py     predictions joined with labels
"""
