"""Attack: how well the shipped graph holds against those who mean it harm."""
