"""The records that operations write and read: archive, audit, holders of dead letters, export files."""
