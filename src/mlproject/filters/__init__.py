"""From activations to motifs, their matches and their logos."""
