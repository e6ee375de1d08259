"""Bridges between frameworks, for code that uses two of them at once. Nothing of Bessemer itself needs them."""
