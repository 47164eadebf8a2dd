"""What a convolution may do instead."""
