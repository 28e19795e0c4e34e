"""What the gate tells people: in light, in sound, and by touch or on a screen, all at once."""
