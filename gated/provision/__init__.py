"""From a machine with gated on it to a gate on duty: looked at, set up, paired, started. As root, once; and once more
after whatever broke it off, because every step knows whether it is done.

answers    what the installer says, by flags, in a file, or when asked
machine    whether this machine is fit for a gate
filling    the commented settings, with the answers in them
boot       what the firmware of a Raspberry Pi must know of the pins
units      the services, as they come with gated
bringing   the same to a gate that has older ones, with an update
bundle     all of it in one file, for a place without a network
steps      what is done, in order
"""
