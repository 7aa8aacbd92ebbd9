"""A whole campaign against simulated customers with a known effect: demo, training ground and statistical oracle."""
