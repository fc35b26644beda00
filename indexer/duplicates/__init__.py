"""Find copies of a photo, and choose the original among them."""
