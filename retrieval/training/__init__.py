"""Training of dual encoders; the line itself is in `loop`."""
