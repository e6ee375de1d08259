"""One file a system that data comes from."""

from bessemer.acquire.shorthand import source_from_path

__all__ = ["source_from_path"]
