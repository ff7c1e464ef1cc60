"""S3: whether a key may write, read and delete where it has to."""

from chronos_secrets.systems.aws.clients import Clients
from chronos_secrets.systems.aws.refusals import Gone, Unanswered

_CONTENT = b"chronos-secrets writes, reads and deletes this object to prove a key\n"


def probe(asker: Clients, bucket: str, name: str) -> None:
    """Write, read and delete one object, the same in every proof.

    Raises NotHonoured, Forbidden (naming the action), Away, Unanswered (also where it does not read what it wrote,
    since another proof may be under way), TargetFailed.
    """
    where = {"Bucket": bucket, "Key": name}
    with asker.translated("s3", "PutObject") as s3:
        s3.put_object(**where, Body=_CONTENT, ContentType="text/plain")
    if _read(asker, where) != _CONTENT:
        raise Unanswered(f"AWS S3 does not give back what was written to {name}")
    with asker.translated("s3", "DeleteObject") as s3:
        s3.delete_object(**where)


def _read(asker: Clients, where: dict[str, str]) -> bytes | None:
    try:
        with asker.translated("s3", "GetObject") as s3:
            return bytes(s3.get_object(**where)["Body"].read())
    except Gone:
        return None
