"""JSON that comes in from outside: untyped until it has been parsed into a type of ours."""

from typing import Any

JsonObject = dict[str, Any]
"""An object whose members nobody has checked yet, or one that is about to be sent."""
