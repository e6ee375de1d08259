"""Boosting of trees on the margin that surely stands, whatever an attacker moves within a budget."""
