"""The stage that splits the data and turns its columns into features, written as an ONNX graph."""
