"""A package's graph as a program on one row: what languages without tensors are written from."""
