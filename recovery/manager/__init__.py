"""The manager: the service under which every dead letter has one durable, addressable home. Stands on `recovery.operations`."""
