"""The ways to optimise, one file each."""
