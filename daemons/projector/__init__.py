"""projector: reads every event and keeps the read models up to date, each group of them by itself.

Several projectors divide the work among them; one without any stands by until another is gone. It may be killed at any
time, since rows and progress commit together. A fault stops only the group that meets it.
"""
