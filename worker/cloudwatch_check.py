"""What `doctor` checks of CloudWatch: whether our figures may be sent."""

from typing import Any

from worker.checks import Check
from worker.core.base.aws import Aws, aws_errors
from worker.core.base.classify import is_denial
from worker.core.base.cloudwatch import FIGURES
from worker.core.base.credential_faults import require_credentials
from worker.core.base.errors import StoreError
from worker.core.base.settings import Settings

HARMLESS = "Archived"
"""A sum, to which a 0 adds nothing, so that it raises and ends no alarm. CloudWatch has no call that shows the permission and
keeps nothing: which of its checks of a wrong request come before that of the permission is not documented."""


def figures(settings: Settings, aws: Aws) -> Check:
    """Send one of our own figures, a sum of 0. Without CloudWatch, work goes on, but alarms see nothing."""
    namespace = settings.cloudwatch_namespace or ""
    data: Any = [{"MetricName": HARMLESS, "Value": 0.0, "Unit": FIGURES[HARMLESS][0]}]
    try:
        with aws_errors(StoreError):
            aws.cloudwatch().put_metric_data(Namespace=namespace, MetricData=data)
    except StoreError as error:
        require_credentials(error)
        if is_denial(error.code):
            hint = (
                f"grant this role cloudwatch:PutMetricData with the namespace {namespace} (config/iam/cloudwatch.json)"
            )
            return Check("", "error", f"cloudwatch:PutMetricData was denied: {error}", hint)
        hint = "are AWS_REGION and CLOUDWATCH_NAMESPACE right, and is there a network route to CloudWatch (monitoring)?"
        return Check("", "error", f"the figures of {namespace} cannot be sent: {error}", hint)
    return Check("", "ok", f"figures can be sent to {namespace} (tried with {HARMLESS} 0)")
