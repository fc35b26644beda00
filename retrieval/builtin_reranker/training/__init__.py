"""How a reranker learns: material, lessons, the line that trains."""
