"""Copies of one picture, and which of them is the original."""
