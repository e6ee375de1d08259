"""The parts of `benchmarks/automl.py`: the tools, their environments, the measuring from outside and the tables."""
