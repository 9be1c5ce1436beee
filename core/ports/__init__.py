"""Ports: what the services need from outside of them. Each file has one subject.

The docstrings are the contracts, and one suite of tests runs them against every adapter. Every method that needs the
database raises Unavailable while the database is away or busy, and DatabaseFault while a person has to mend it.
"""
