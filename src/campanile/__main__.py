"""`python -m campanile` is the command `campanile`."""

from campanile.cli.main import main

main()
