"""The catalogue of causes: what each code means, why people do it, how to fix it, with an example that a test runs."""
