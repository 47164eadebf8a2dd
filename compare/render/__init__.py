"""Renderers: pure functions from a run to text; none says what the run does not."""
