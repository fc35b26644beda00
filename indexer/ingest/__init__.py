"""Folders become a library: walk, decode, embed, commit."""
