"""The command line: every verb as a command, each with `--json`."""
