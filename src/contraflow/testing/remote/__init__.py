"""What the fault remote is made of: what it holds, how it fails, what it writes down, and how it is run."""
