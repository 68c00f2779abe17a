"""From activations to motifs, their matches and scores: arrays in, arrays out."""
