"""ONNX graphs → Network: ``file.read`` is the way in, the other modules import onnx, which is an extra."""
