"""The orderdeck command."""
