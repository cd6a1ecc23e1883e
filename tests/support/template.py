"""The properties of one resource of a CloudFormation template with everything filled in, as far as config/ uses functions.

For the resources that moto does not make: policies of queues and buckets, subscriptions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_VALUE = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Filled:
    """What the functions of a template mean. `template` is as `tools.alarms` reads it."""

    template: dict[str, Any]
    values: Mapping[str, str]
    """The parameters and pseudo parameters; those that are not given have their defaults."""
    attributes: Mapping[str, str]
    """`Queue.Arn` and the like, and for a resource's own name what `Ref` gives."""

    def properties(self, resource: str) -> dict[str, Any]:
        """The properties of a resource."""
        found: dict[str, Any] = self(self.template["Resources"][resource]["Properties"])
        return found

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self(one) for one in value if self._is_there(one)]
        if not isinstance(value, dict):
            return value
        [name, *others] = value or [""]
        if not others and (function := getattr(self, f"_{name.lower()}", None)) and name[0].isupper():
            return function(value[name])
        return {name: self(one) for name, one in value.items() if self._is_there(one)}

    def _is_there(self, value: Any) -> bool:
        while isinstance(value, dict) and set(value) == {"If"}:
            value = value["If"][1 if self._holds(value["If"][0]) else 2]
        return bool(value != NO_VALUE)

    def _holds(self, condition: str) -> bool:
        return bool(self(self.template["Conditions"][condition]))

    def _ref(self, name: str) -> Any:
        if name in self.attributes or name in self.values:
            return self.attributes.get(name) or self.values[name]
        return self.template["Parameters"][name].get("Default", "")

    def _getatt(self, name: str) -> str:
        return self.attributes[name]

    def _if(self, parts: list[Any]) -> Any:
        return self(parts[1 if self._holds(parts[0]) else 2])

    def _equals(self, parts: list[Any]) -> bool:
        one, other = self(parts)
        return bool(one == other)

    def _not(self, parts: list[Any]) -> bool:
        return not self(parts[0])

    def _join(self, parts: list[Any]) -> str:
        between, texts = parts[0], self(parts[1])
        return str(between.join(texts if isinstance(texts, list) else [texts]))

    def _split(self, parts: list[Any]) -> list[str]:
        return str(self(parts[1])).split(parts[0])

    def _select(self, parts: list[Any]) -> Any:
        return self(parts[1])[int(parts[0])]

    def _sub(self, given: Any) -> str:
        text, more = given if isinstance(given, list) else (given, {})
        own = {name: self(value) for name, value in more.items()}

        def meant(found: "re.Match[str]") -> str:
            name = found[1]
            return str(own[name] if name in own else self._getatt(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", meant, text)
