"""Explain: why the model says what it says, for all rows and for one."""
