"""One file an SQL engine."""
