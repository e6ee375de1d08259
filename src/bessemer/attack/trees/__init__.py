"""Exact attacks on trees, and sound bounds: which leaves a row can be moved into."""
