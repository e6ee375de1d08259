"""The parts of `benchmarks/serving.py`: the servers, their environments, the load, and the measuring from outside."""
