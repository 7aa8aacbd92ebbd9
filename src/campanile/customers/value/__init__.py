"""What customers are worth: forecasts of purchases and money, and scores that were made elsewhere."""
