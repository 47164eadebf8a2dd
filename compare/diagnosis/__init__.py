"""Diagnosis: the cause of each difference, named only once undoing it in a re-run makes the difference go."""
