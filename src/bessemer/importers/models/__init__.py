"""Trained models of other libraries, turned into packages: a file a format, behind one table."""
