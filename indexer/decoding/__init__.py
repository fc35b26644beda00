"""Files are decoded in child processes that may harm nobody."""
