"""From records to what is shown of them, as JSON-able values. Pure; no Jupyter here."""
