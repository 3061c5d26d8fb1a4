"""Fifth floor: the verbs, the runner of steps, the batch pipelines and the command line."""
