"""The saga runner: drives the sagas of every order to their end."""
