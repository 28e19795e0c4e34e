"""Turn a machine with gated installed into a working gate: check it, set it up, pair it with the office, start it.
`gated provision` uses this package and runs as root. After a failure, a second run continues: each step knows whether
it is done.

answers    the installer's answers, from flags, a file or questions
machine    checks that this machine can be a gate
boot       writes the pin settings into the Raspberry Pi's firmware configuration
units      the systemd units that come with gated
bringing   installs the vision unit on older gates, during an update
bundle     packs gated, its wheels and its data into one file, for a place without a network
steps      the provisioning steps, in order

Public: bundle, install_step, installer_answers, office_machine, office_steps, packages, reader_settings, step_state,
steps, vision_unit.
"""
