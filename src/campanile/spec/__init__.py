"""What marketers and analysts commit: YAML read strictly into frozen types, every problem with file, line and cure.

Reads campanile.yaml, segments.yaml, campaigns/*.yaml and experiments/*.yaml. Returns a `Project`. Never touches a
database, a template's text or a secret.
"""
