"""What a session costs: counts that repeat, and ratios of one run. See README.md."""
