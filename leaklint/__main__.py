"""`python -m leaklint`: the same as the command `leaklint`."""

from leaklint.cli import main

if __name__ == "__main__":
    main()
