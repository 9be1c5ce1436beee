"""payment-sandbox: a payment provider to test against, whose ledger is written before it answers."""
