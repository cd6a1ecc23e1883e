"""The verbs of `dlq`, one module each. A verb asks for confirmation, calls an operation, and shows its result."""
