"""What works aside from calls, for as long as the process serves."""
