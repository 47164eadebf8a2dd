"""What the numbers of a verdict look like: the worst elements, how the error is spread, and where it lies."""
