"""postgres: runs the embedded PostgreSQL, migrates its database, and stops the server when it is stopped itself.

With DATABASE_URL set it runs no server: it migrates that database as soon as it answers, and exits with 0.
"""
