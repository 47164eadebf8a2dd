"""Somebody else's network: naming it, loading it, and standing its code.

Nothing is imported here: `spec`, `stages` and `supervise` must do without torch.
"""
