"""The reranker that ships: word detectors, caption language models, instructions."""
