"""Writes down what is normal: sketches of inputs and outputs, and the limits monitoring compares against."""
