"""Acquire: reads the sources, runs the project's SQL, lands one snapshot with a fingerprint."""
