"""Project Chronos as it was first built: what its report of that day says, as the files that the design check reads."""

INVENTORY = """\
version: 1
project: project-chronos
timezone: America/Toronto
hosts:
  prod: {ssh: chronos-prod-db, sudo: true}
  prod-db: {in: prod, container: chronos-db, engine: docker, user: postgres}
vault:
  path: ~/.secrets/project-chronos.kdbx
  copies:
    local: {kind: folder, path: ~/.secrets/backups}
credentials:
  aws-root: {kind: account, title: AWS root, entry: AWS/Root Account, never: "use SSO", fields: {account_id: "attr:ID"}}
  pgbackrest-chronos:
    {kind: aws-access-key, title: pgbackrest-chronos keys, entry: AWS/Service Accounts/pgbackrest-chronos,
     every: 1 year, rotated: 2025-11-27, target: {iam_user: pgbackrest-chronos}}
  backup-cipher: {kind: passphrase, title: pgBackRest encryption key, entry: Database/Backup Encryption, never: "NEVER"}
destinations:
  pgbackrest:
    host: prod-db
    path: /etc/pgbackrest/pgbackrest.conf
    dialect: pgbackrest
    template: builtin:pgbackrest
    uses: {repo1: pgbackrest-chronos, repo1_cipher: backup-cipher}
postgres: {host: prod-db, database: chronos, role: chronos, data: /var/lib/postgresql/data}
pgbackrest:
  stanza: chronos
  host: prod-db
  config: pgbackrest
  repo: {cipher: aes-256-cbc, retention_full: 4, retention_diff: 4}
  objectives: {rpo: 15 minutes, rto: 1 hour}
cloud:
  provider: aws
  region: ca-central-1
  endpoint: s3.ca-central-1.amazonaws.com
  account: {credential: aws-root, field: account_id}
  user: {name: pgbackrest-chronos, policy: pgbackrest-s3-access, prefixes: [var/lib/pgbackrest/]}
  bucket: {name: project-chronos-backups, tls_only: false}
  lifecycle: {glacier_ir: 30 days, deep_archive: 180 days, expire: 365 days, noncurrent: never,
    incomplete_uploads: never, min_size: 1 B}
tasks:
  backup-check: {title: Verify backup integrity, every: 1 week, from: 2025-11-27}
  restore-test: {title: "Test restore on test instance (if available)", every: 1 month, from: 2025-11-27}
"""

CONFIG = """\
[global]
repo1-type=s3
repo1-s3-bucket=project-chronos-backups
repo1-s3-endpoint=s3.ca-central-1.amazonaws.com
repo1-s3-region=ca-central-1
repo1-s3-key=STORED-IN-KEEPASSXC
repo1-s3-key-secret=STORED-IN-KEEPASSXC
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=STORED-IN-KEEPASSXC
repo1-retention-full=4
repo1-retention-diff=4

[chronos]
pg1-path=/var/lib/postgresql/data
pg1-port=5432
pg1-user=chronos
pg1-database=chronos
"""

_RUN = "docker exec -u postgres chronos-db pgbackrest --stanza=chronos"
CRONTAB = f"""\
# Full backups: daily at 11:00 UTC
0 11 * * * root {_RUN} --type=full backup >> /var/log/pgbackrest-full.log 2>&1
# Differential backups: every 6 hours
0 5,11,17,23 * * * root {_RUN} --type=diff backup >> /var/log/pgbackrest-diff.log 2>&1
"""

RUNBOOK = f"""\
### Scenario 1: Complete Database Loss

```bash
# 1. Stop PostgreSQL
docker compose stop timescaledb
# 3. Restore from latest backup
{_RUN} --type=immediate --target-action=promote restore
docker compose start timescaledb
```

### Scenario 2: Point-in-Time Recovery (PITR)

```bash
# 2. Restore to specific time (24-hour format, UTC)
docker exec -u postgres chronos-db pgbackrest \\
  --stanza=chronos \\
  --type=time \\
  --target="2025-11-27 19:15:00" \\
  --target-action=promote \\
  restore
```

### Restore Operations

```bash
# Restore latest backup (immediate)
{_RUN} --type=immediate restore
```

### Weekly Tasks

```bash
{_RUN} check
{_RUN} info
```
"""

LIFECYCLE: tuple[dict[str, object], ...] = (
    {
        "ID": "backups",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Transitions": [
            {"Days": 30, "StorageClass": "GLACIER_IR"},
            {"Days": 180, "StorageClass": "DEEP_ARCHIVE"},
        ],
        "Expiration": {"Days": 365},
    },
)

DATABASE = {
    "archive_mode": "on",
    "archive_command": "pgbackrest --stanza=chronos archive-push %p",
    "wal_level": "replica",
    "archive_timeout": "0",
}

MOUNTED = "/home/ubuntu/chronos-db/pgbackrest.conf"
"""The configuration on the host, which the compose file has in the container as a single file."""
