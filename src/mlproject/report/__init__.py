"""What a run looks like: plots and the card."""
