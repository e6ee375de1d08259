"""A package in two parts for runtimes without texts: an encoder in JSON, and a graph of standard operators."""

from bessemer.export.numeric.core import Core, core_of

__all__ = ["Core", "core_of"]
