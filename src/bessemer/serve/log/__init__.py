"""The prediction log of a server: `PredictionLog` takes every prediction, off the hot path into Parquet."""
