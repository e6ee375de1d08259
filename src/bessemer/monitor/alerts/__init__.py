"""Findings that are open, what is told of them, and how it comes to whoever is to know."""
