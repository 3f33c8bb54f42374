"""tapejit and its peers, measured in one run: see README.md beside this file."""
