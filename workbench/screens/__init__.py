"""What panels show and may do: state out, commands in, both JSON; no Jupyter here."""
