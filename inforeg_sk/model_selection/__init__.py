"""Model selection on modalities: many fits at the price of a few."""
