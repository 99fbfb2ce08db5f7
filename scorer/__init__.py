"""Feature to score: model bundles, the encoder of model inputs, ONNX sessions and scores."""
