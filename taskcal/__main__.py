"""`python -m taskcal` is the console script."""

from taskcal.cli.main import main

if __name__ == "__main__":
    main()
