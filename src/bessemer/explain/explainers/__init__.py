"""The explainers, one file each; `bessemer.explain.plugins` is their table."""
