"""Targets: machines other than this one on which a study's variants were timed."""
