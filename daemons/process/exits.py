"""The exit codes of a daemon, beside 0: it stopped as it was asked to."""

WATCHDOG = 70
"""The event loop hung, so the daemon ended itself."""

CONFIGURATION = 78
"""A person has to change something first: a setting, a folder, a port (EX_CONFIG of sysexits.h)."""
