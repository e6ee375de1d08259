"""A package's program for one row as a document of PMML."""
