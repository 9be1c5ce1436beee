"""Ports: what the services need from the world, one subject a file.

The docstrings are the contracts; one suite tests every adapter. Every method that needs the database raises Unavailable
while it is away or busy, and DatabaseFault while something in it has to be mended by a person.
"""
