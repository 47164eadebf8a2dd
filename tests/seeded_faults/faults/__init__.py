"""Seeded faults: operators that plant known mistakes in correct networks, and the truth about each.

    from faults import plan, judging
    judging.judged(plan.plantings()[0])

See README.md in the folder above.
"""
