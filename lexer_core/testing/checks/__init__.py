"""What must an engine do? A module per topic, a function per check."""
