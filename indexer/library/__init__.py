"""One library: create, open, verify, repair, tune."""
