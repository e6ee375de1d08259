"""Searchers: how a search draws its next trial, and when it gives one up. Optuna does the work."""
