"""Models of Keras and TensorFlow: looked at here as data, and turned into ONNX elsewhere."""
