"""Snapshots: what each acquire landed, numbered, named, compared and kept by policy."""
