"""Fine-tuning: weight averaging, and rerankers on judged photos."""
