"""One function for each verb, over the store and nothing else."""
