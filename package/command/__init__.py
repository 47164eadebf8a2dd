"""The command `layerdiff`: the one place where reference, handwritten and compare meet."""
