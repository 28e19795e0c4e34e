"""The cues: everything that the gate shows, sounds and vibrates for people, on all channels at once.

Public: aloud, cue, fingerprint, prompt_copies, prompts, samples, scene, screen, sound, stage, voice, words.
"""
