"""Sends webhooks over HTTP, to addresses that everybody may reach."""
