"""Index folders: walk, decode, embed, commit."""
