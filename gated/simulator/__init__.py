"""A courtyard without hardware: rendered residents and their visitors, with what they wear and what they hold up."""
