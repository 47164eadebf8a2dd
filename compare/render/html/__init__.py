"""The page: a run as one HTML file that needs nothing else, neither a network nor, for the answer, a script."""
