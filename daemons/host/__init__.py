"""The programs of one home on one machine: supervisord, starting and stopping, and what state they are in."""
