"""Hypotheses: what may be wrong at one operation, each with a model of what it would then give."""
