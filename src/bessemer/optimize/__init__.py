"""Quicker and smaller versions of a package, each measured, the best of them signed as its child."""
