"""Networks that parameters cannot say: each file has ``build(length, classes, **arguments)``.

``model=inception`` takes the file ``inception.py``; ``model_args={"filters": 8}`` are its
arguments.
"""
