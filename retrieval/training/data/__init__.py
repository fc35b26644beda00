"""Training data: image-text pairs become batches."""
