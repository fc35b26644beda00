"""Reference vectors: they measure hubness and give scores a unit."""
