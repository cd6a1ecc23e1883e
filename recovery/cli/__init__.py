"""The commands `dlq`, `recover_dlq` and so on: options, prompts, tables, signals, exit codes."""
