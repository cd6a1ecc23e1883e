"""Find variables of the environment that are probably meant to be settings, but are none: `STATE_BUKET`."""

import difflib
import re
from collections.abc import Iterable

OWN_FAMILIES = frozenset({
    "SQS", "DLQ", "STATE", "INDEX", "OPENSEARCH", "WORKER", "BULK", "SPOOL", "EXTRACT", "BUDGET", "METRICS", "CLOUDWATCH",
    "MANAGER", "LEDGER", "RECONCILE", "RECEIVERS", "OIDC", "REDACT",
})  # fmt: skip
"""First words of settings that hardly any other software uses."""
OF_OTHERS = re.compile(
    r"(AWS|OPENSEARCH_(JAVA|HOME|PATH|INITIAL|TMPDIR|DISTRIBUTION|KEYSTORE|JAVA_OPTS)|BOTO|OTEL|PYTHON|PYTEST|SYSTEMD)(_|$)"
    r"|(STATE|CACHE|LOGS|RUNTIME|CONFIGURATION|CREDENTIALS)_DIRECTORY$"
)
"""Names of AWS's SDK, OpenSearch itself, systemd and others, which are never looked at."""
ALSO_OURS = frozenset({"DLQ_URL", "FRONTIER_URL"})
"""Deprecated names, which `dlq` still reads."""
MEANT = {
    "SQS_URL": "SQS_QUEUE_URL", "SQS_QUEUE": "SQS_QUEUE_URL", "QUEUE_URL": "SQS_QUEUE_URL", "SQS_DLQ_URL": "DLQ_QUEUE_URL",
    "DLQ_QUEUE": "DLQ_QUEUE_URL", "SQS_ENDPOINT": "AWS_ENDPOINT_URL_SQS", "SQS_ENDPOINT_URL": "AWS_ENDPOINT_URL_SQS",
    "S3_ENDPOINT": "AWS_ENDPOINT_URL_S3", "S3_ENDPOINT_URL": "AWS_ENDPOINT_URL_S3", "SQS_REGION": "AWS_REGION",
    "OPENSEARCH_URL": "INDEX_URL", "OPENSEARCH_HOST": "INDEX_URL", "OPENSEARCH_USER": "INDEX_USER", "S3_STATE_BUCKET":
    "STATE_BUCKET", "OPENSEARCH_USERNAME": "INDEX_USER", "OPENSEARCH_PASSWORD": "INDEX_PASSWORD", "INDEX_NAME":
    "OPENSEARCH_INDEX", "INDEX_USERNAME": "INDEX_USER", "INDEX_CA": "INDEX_CA_FILE", "INDEX_CERT": "INDEX_CA_FILE",
}  # fmt: skip
"""Names that other programs have for what is a setting here."""
ALIKE, NEAR = 0.84, 0.7
"""How alike two names are (difflib's ratio) of which one is the other misspelt: in any family, and in one of ours."""
SHORTEST = 6
"""Shorter names are alike by chance."""


def misspelt(names: Iterable[str], known: set[str]) -> list[str]:
    """One sentence for each of these names that is probably a misspelt one of the known names; no value is looked at."""
    known = known | ALSO_OURS
    found = []
    for name in names:
        bare = name.strip().removeprefix("export ").strip().upper()
        if (bare in known and bare == name.upper()) or OF_OTHERS.match(bare) or not bare:
            continue
        meant = bare if bare in known else _meant(bare, known)
        if meant:
            found.append(f"{name} is not a setting; {meant} is: did you mean that?")
        elif bare.partition("_")[0] in OWN_FAMILIES and "_" in bare:
            found.append(f"{name} is not a setting: docs/reference/settings.md has them all")
    return sorted(found)


def _meant(name: str, known: set[str]) -> str:
    if name in MEANT:
        return MEANT[name]
    if len(name) < SHORTEST:
        return ""
    least = NEAR if name.partition("_")[0] in OWN_FAMILIES else ALIKE
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=least)), "")
