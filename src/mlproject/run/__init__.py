"""One run from the data to the card, and what is asked of a finished one."""
