"""Train dual encoders; the loop itself is in `retrieval.training.loop`."""
