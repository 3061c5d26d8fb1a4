"""What is noticed in the data beyond errors: a file here is one sort of finding."""
