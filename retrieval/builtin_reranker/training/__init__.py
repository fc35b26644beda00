"""Train the built-in reranker: features, word detectors, language models, polarity, fusion."""
