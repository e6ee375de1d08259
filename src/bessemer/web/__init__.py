"""Pages that people look at while things happen."""
