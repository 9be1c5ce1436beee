-- A command that is repeated finds the generation that it has asked for before.
ALTER TABLE generations ADD command_id uuid UNIQUE, DROP drop_old;
