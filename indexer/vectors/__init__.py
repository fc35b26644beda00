"""Vectors on disk, and the FAISS indexes over them."""
