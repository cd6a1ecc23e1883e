"""The verbs of `dlq`, one module each. A verb asks for confirmation, calls an operation, and shows its result."""

MODULES = {
    "stats": "stats",
    "watch": "watch",
    "list": "list_messages",
    "groups": "groups",
    "inspect": "inspect",
    "redrive": "redrive",
    "redrive-all": "redrive",
    "recover": "recover",
    "delete": "abandon",
    "abandon": "abandon",
    "restore": "restore",
    "export": "export",
    "import": "import_file",
    "purge": "purge",
    "pick": "pick",
    "interactive": "interactive",
}
"""The module of each verb, in the order in which the help shows them; it is imported when the verb is typed."""
READ_ONLY = frozenset({"stats", "watch", "list", "groups", "inspect"})
"""Those that change nothing, and so have nothing to finish when Ctrl-C ends them."""
