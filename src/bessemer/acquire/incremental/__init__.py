"""Incremental reading: what was read before is kept, and only what is new is asked for."""
