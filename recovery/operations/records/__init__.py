"""The records that operations write and read: archive, holders of dead letters, export files."""
