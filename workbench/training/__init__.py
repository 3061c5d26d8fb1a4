"""Training as a step: config and dataset in, a network artifact and metrics out."""
