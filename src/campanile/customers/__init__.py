"""The customer database: import, profile, and the relations that campaigns select from."""
