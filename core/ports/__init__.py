"""Ports: what the services need from the world, one subject a file.

The docstrings are the contracts; one suite tests every adapter.
"""
