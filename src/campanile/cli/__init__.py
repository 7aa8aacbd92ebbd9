"""The command line: arguments and printing. Everything it does, another room does."""
