"""The notifier: sends events to the addresses that want them, as webhooks."""
