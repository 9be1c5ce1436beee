"""command-api: validates commands, decides them, appends what happened; answers with where it stands in the log."""
