"""What parameters may be instead of the expected ones."""
