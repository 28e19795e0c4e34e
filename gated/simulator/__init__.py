"""A courtyard without hardware: rendered people, their glasses and attacks, simulated parts, faults and a network."""
