"""What every plugin of a kind must do, as functions that a plugin's own tests call in a few lines.

Each takes the plugin's descriptor, tries the contract of its port on it, and raises AssertionError with a
text that says what was expected. They need no test framework; ours run under pytest, a stranger's may run
under anything.
"""
