"""Ways to rank the columns of a model, one file each."""
