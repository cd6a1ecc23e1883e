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
    r"|\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP)\w*)$|OPENSEARCH_PORT$"
)
"""Names of AWS's SDK, OpenSearch itself, systemd, and those that Kubernetes makes for each service; no setting is meant by them."""
OF_AWS = frozenset({
    "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
})  # fmt: skip
"""Variables of AWS's SDK that decide to where requests go, and as whom."""
NEAR_OF_AWS = re.compile(r"AWS_(ENDPOINT_URL_|DEFAULT_(PROFILE|OUTPUT)|SECURITY_TOKEN|ACCOUNT_ID|REGIONAL)")
"""Names of the SDK that are like those, and are not looked at."""
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
    names, known = list(names), known | ALSO_OURS
    found = [said for name in names if name.startswith("AWS_") and (said := _of_aws(name, names))]
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


def _of_aws(name: str, names: list[str]) -> str:
    """What is said of a name of AWS's; nothing where the right one is set as well, because other software may read this one."""
    if name in OF_AWS or NEAR_OF_AWS.match(name):
        return ""
    meant = next(iter(difflib.get_close_matches(name, sorted(OF_AWS), n=1, cutoff=ALIKE)), "")
    return f"{name} is not a setting; {meant} is: did you mean that?" if meant and meant not in names else ""


def _meant(name: str, known: set[str]) -> str:
    if name in MEANT:
        return MEANT[name]
    if len(name) < SHORTEST:
        return ""
    least = NEAR if name.partition("_")[0] in OWN_FAMILIES else ALIKE
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=least)), "")
