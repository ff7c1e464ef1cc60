"""AWS, through boto3: the only package that imports it, and only once something is asked."""

from chronos_secrets.systems.aws.sts import Caller, caller

__all__ = ["Caller", "caller"]
