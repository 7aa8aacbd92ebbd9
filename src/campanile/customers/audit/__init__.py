"""How good the customer database is: counts by check, computed in the engine, with ids at most and no contact data."""
