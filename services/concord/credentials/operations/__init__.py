"""What credentials does, one function for each verb, over the store of one unit of work."""
