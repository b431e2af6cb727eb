"""``foa sim``, ``foa record``, ``foa replay``: whole federations in virtual time, and what live ones said."""
