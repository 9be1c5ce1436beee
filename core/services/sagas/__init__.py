"""What drives the sagas: a runner claims them, and each is advanced one recorded step at a time."""
