"""The commands `dlq`, `recover_dlq` and `replay_retry_index`: options, prompts, tables, signals and exit codes."""
