"""Streams: messages become rows of a Delta table, each exactly once."""
