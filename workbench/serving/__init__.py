"""The endpoint: a model answers over HTTP. Never imports torch, pandas or Jupyter."""
