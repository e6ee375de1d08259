"""Ways to take a prediction apart into a base and a part for each column, one file each (see `plugins.py`)."""
