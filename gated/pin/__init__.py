"""PINs: the rule for allowed PINs, random PINs, flat numbers at a keypad, and the expected guessing time.

`access`, `gallery` and the commands use this package. It imports no hardware, network or database.

Public: budget, flat_numbers, random_pins, rule.
"""
