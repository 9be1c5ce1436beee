"""The notifier: sends events to the addresses that want them, as webhooks, and e-mails to operators."""
