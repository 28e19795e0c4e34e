"""PINs: which will do, how one is made, how a flat number is typed, and how long a stranger must guess."""
