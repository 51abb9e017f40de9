"""Files of trained models: checkpoints, what ONNX files carry, models that ship."""
