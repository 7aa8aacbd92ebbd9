"""The columns of the profile, a module for each family: relations with one row per customer, joined at the end."""
