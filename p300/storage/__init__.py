"""Files: whole or not there, locked, from strangers, without what tells of a person."""
