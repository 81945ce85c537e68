"""A trained detector as one ONNX file, read without PyTorch."""
