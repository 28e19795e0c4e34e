"""The cues: everything that the gate shows, sounds and vibrates for people, on all channels at once."""
