"""In-silico experiments on a scoring function: arrays in, arrays out."""
