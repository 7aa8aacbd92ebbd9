"""Prefect entrypoints: decorators, parameters and artifacts. What they do is in src/campanile."""
