"""The cost of a million objects at AWS's public prices (us-east-1, on demand, 2026), without the hosts of the index."""

from collections.abc import Mapping

VCPU_HOUR = 0.03625
"""Half of a c7g.large, in $ (aws.amazon.com/ec2/pricing/on-demand)."""
MILLION_REQUESTS = {"sqs": 0.40, "s3": 0.40, "s3_list": 5.00, "index": 0.0}
"""In $ (aws.amazon.com/sqs/pricing, standard queue; aws.amazon.com/s3/pricing: GET and HEAD, LIST and PUT)."""


def dollars_per_million(cpu_ms: float, requests: Mapping[str, float]) -> float:
    """The cost of a million messages, given the CPU and the requests by service for one message."""
    vcpu_hours = cpu_ms * 1e6 / 3_600_000
    return vcpu_hours * VCPU_HOUR + sum(MILLION_REQUESTS[service] * count for service, count in requests.items())
