"""What `orderdeck verify` is made of: the whole log is read once, and everything made of it is compared."""
