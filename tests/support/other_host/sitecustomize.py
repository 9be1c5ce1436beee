"""Read by every Python that starts with this folder on its path: its machine has the name that the test gives it."""

from __future__ import annotations

import os
import socket

socket.gethostname = lambda: os.environ["TEST_HOST_NAME"]
