"""Decode files in sandboxed child processes."""
