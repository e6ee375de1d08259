"""Answers that are wrong on purpose, so that a copy that learnt from them can be told."""
