"""`python -m bessemer`."""

from bessemer.cli import main

if __name__ == "__main__":
    main()
