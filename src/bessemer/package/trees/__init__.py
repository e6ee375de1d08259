"""Additive trees in one neutral form, whichever library grew them: arrays, ONNX, exact contributions."""
