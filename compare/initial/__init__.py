"""How fresh tensors are drawn: as samples of a distribution, held against the reference's, and the rule behind them.

Nothing here looks at single values: two right networks share none. What is compared is what a distribution leaves in a
sample, and how far chance alone carries two samples apart is known.
"""
