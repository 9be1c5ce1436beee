"""The exit codes of a daemon that says why it ended. It ends with 0 when somebody told it to stop."""

WATCHDOG = 70
"""The event loop hung, so the daemon ended itself."""

CONFIGURATION = 78
"""The daemon cannot start until a person changes a setting, a folder or a port (EX_CONFIG of sysexits.h)."""

STOPPED = 75
"""It was told to stop, or the process that forks its others was killed. If it was not supervisord that told it,
supervisord starts it again, as it would not at 0."""
