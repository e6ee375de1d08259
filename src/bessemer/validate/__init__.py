"""Validate: infers or enforces the data contract; sets broken rows aside with the reason."""
