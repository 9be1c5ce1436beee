"""The code of `orderdeck verify`: it reads the whole log once, and compares it with everything made from it."""
