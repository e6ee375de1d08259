"""Protect: rows that mark the model as its owner's, made before it learns."""
