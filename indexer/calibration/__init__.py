"""Reference vectors, by which hubness and scores are measured."""
