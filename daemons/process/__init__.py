"""What surrounds every daemon: settings, logs, signals, its port, its health and readiness, its exit code."""
