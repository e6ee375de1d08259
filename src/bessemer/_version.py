"""The version of Bessemer itself, in one place."""

__version__ = "0.1.0"
