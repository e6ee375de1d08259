"""Ways to remove a mark from a stolen model, to see whether it outlives them: one file each."""
