"""The training loop and what belongs to it. No files, no UI; scores.py needs no torch."""
