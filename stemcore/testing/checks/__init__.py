"""The promises of each kind of component."""
