"""Instructions: write them from templates, parse them, and measure how well they are followed."""
