"""Sends e-mails over SMTP, to the server that the settings name."""
