"""Panels: what records look like in a notebook. They render records and call verbs, no more."""
