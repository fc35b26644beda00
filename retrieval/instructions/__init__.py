"""Instructions: how they are written, read, and measured."""
