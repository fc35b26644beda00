"""The built-in reranker: word detectors, caption language models, instructions."""
