"""Explanations of any torch network: one file a method, behind one table (`plugins.py`)."""
