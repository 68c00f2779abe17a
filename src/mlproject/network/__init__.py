"""Keras networks: building, training, evaluation, saving."""
