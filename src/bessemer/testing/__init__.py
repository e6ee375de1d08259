"""Conformance suites, for those who write plug-ins."""
