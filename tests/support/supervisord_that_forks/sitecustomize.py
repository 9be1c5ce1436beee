"""Read by every Python that starts with this folder on its path: supervisord starts its daemons as forks of itself."""

import sys

if sys.orig_argv[1:3] == ["-m", "supervisor.supervisord"] and sys.platform == "linux":
    from tests.support.forked_program import fork_programs

    fork_programs()
