"""What has an engine to keep? One module for each matter, a function for each check."""
