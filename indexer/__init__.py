"""Photos and texts on disk become a searchable library."""
