"""The commands `dlq`, `recover_dlq`, `replay_retry_index`, `reconcile_index`: options, prompts, tables, signals, exit codes."""
