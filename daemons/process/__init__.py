"""What every daemon shares: settings, logs, signals, the port, health and readiness, exit codes."""
