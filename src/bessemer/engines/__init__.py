"""The project's SQL where the data is: one file an engine, and what they share.

An engine runs SQL of its own dialect (`protocol.Engine`). Everything else is written once: `binding` has DuckDB
judge the SQL and say the types of its result, `transpile` carries it over, `table` is a result that stays at the
engine and answers questions.
"""
