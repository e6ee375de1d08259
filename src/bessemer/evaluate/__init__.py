"""Judges the model on rows it has never seen: metrics with intervals, slices, gates."""
