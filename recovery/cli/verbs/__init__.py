"""The verbs of `dlq`, a module each: what they ask, which operation they call, and what they show of its result."""
