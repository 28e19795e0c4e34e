"""Card readers, keypads and code scanners: from a signal or key press to a card number or a PIN.

Public: keystrokes, learning, observing, reader_set, usb.
"""
