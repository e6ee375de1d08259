"""Annotate: finds the task and the classes; sets rows without a label aside."""
