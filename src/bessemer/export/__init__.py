"""Packages in other runtimes' formats, each run there and held against the package before anybody gets it."""
