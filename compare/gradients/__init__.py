"""The way back: gradients of every layer, alone and end to end, and what rounding explains in them."""
