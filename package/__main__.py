"""`python -m layerdiff` is the command `layerdiff`."""

from layerdiff.command.entry import main

if __name__ == "__main__":
    main()
