"""Speed and memory, each beside a hand-written reference that runs in the same command."""
