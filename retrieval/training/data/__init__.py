"""Pairs become batches."""
