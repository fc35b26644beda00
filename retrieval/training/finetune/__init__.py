"""Fine-tuning: weight averaging, and rerankers trained on judged photos."""
