"""The traps of the design check: each has facts that are in it, and a good design is in none."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_secrets.cloud import posture
from chronos_secrets.cloud.posture import Unknown
from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.review.design import commands, facts, judging, retention
from chronos_secrets.review.design.facts import Bind, BucketFacts, Facts, Seen
from tests.support import seeded

TODAY = date(2026, 1, 1)
TOP = Path(__file__).parents[2]

GOOD = (
    seeded.INVENTORY.replace('never: "NEVER"}', 'never: "NEVER", paper: true}')
    .replace("role: chronos,", "role: chronos, service: {host: prod, compose: /srv/db, name: db, volume: v},")
    .replace("retention_full: 4, retention_diff: 4}", "retention_full: 60}\n  archive_timeout: 5 minutes\n"
             '  schedule: {full: "0 11 * * *", diff: "0 5,17,23 * * *", host: prod}\n'
             "  drill: {config: reading, path: /var/tmp/drill}")
    .replace("destinations:\n", "destinations:\n  reading: {host: prod-db, path: /etc/pgbackrest/read.conf, "
             "dialect: pgbackrest, template: builtin:pgbackrest, uses: {repo1: pgbackrest-chronos, repo1_cipher: "
             "backup-cipher}}\n")
    .replace("  lifecycle: {glacier_ir: 30 days, deep_archive: 180 days, expire: 365 days, noncurrent: never,\n"
             "    incomplete_uploads: never, min_size: 1 B}",
             "  drill_user: {name: reader, policy: reading, prefixes: [var/lib/pgbackrest/]}\n"
             "  lifecycle: {noncurrent: 30 days}")
    .replace("integrity, every: 1 week, from: 2025-11-27}", "it, every: 1 week, from: 2025-11-27, run: [backup, check]}")
    .replace("every: 1 month, from: 2025-11-27}", "every: 1 month, from: 2025-11-27, run: [backup, drill]}")
)  # fmt: skip
CONFIG = seeded.CONFIG.replace("repo1-retention-diff=4\n", "repo1-retention-history=365\n")
RULES: tuple[dict[str, object], ...] = (
    {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
    {"Status": "Enabled", "Expiration": {"ExpiredObjectDeleteMarker": True}},
    {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
)
WELL = {"archive_mode": "on", "archive_command": "pgbackrest --stanza=chronos archive-push %p", "archive_timeout": "60"}
ONE_OFF = "docker run --rm -v v:/var/lib/postgresql/data image pgbackrest --stanza=chronos"


def design(folder: Path, text: str = GOOD) -> Facts:
    """A design that is in no trap, or another one by its inventory."""
    path = folder / "inventory.yaml"
    path.write_text(text)
    return design_of(load.read(path))


def design_of(inventory: Inventory) -> Facts:
    assert inventory.pgbackrest is not None
    return Facts(
        inventory=inventory,
        backups=inventory.pgbackrest,
        calls=(),
        config=config(CONFIG),
        jobs=(),
        database=live(WELL),
        bucket=BucketFacts("Enabled", RULES, lock=True, replicates=False),
        binds=(Bind("/srv/db/pgbackrest", "/etc/pgbackrest"),),
    )


def config(text: str, mode: int | None = 0o600) -> facts.Config:
    return facts.config(text, "pgbackrest.conf", stanza="chronos", mode=mode)


def live(settings: dict[str, str]) -> dict[str, Seen]:
    return {name: Seen(value, "postgresql.auto.conf:1") for name, value in settings.items()}


def states(found: Facts) -> dict[str, str]:
    return {each.trap.id: each.finding.state for each in judging.judge(found, TODAY)}


def failing(found: Facts) -> set[str]:
    return {name for name, state in states(found).items() if state == posture.FAIL}


def test_a_good_design_is_in_no_trap(tmp_path):
    assert set(states(design(tmp_path)).values()) == {posture.PASS}


# --- each trap --------------------------------------------------------------------------------------------------------

Change = Callable[[Facts], Facts]


def inventory(*pairs: str) -> Change:
    """Old and new texts of the inventory, in turn."""

    def change(found: Facts) -> Facts:
        text = GOOD
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            assert old in text
            text = text.replace(old, new, 1)
        other = design(found.inventory.folder, text)
        return found._replace(inventory=other.inventory, backups=other.backups)

    return change


def lifecycle(text: str) -> Change:
    return inventory("lifecycle: {noncurrent: 30 days}", f"lifecycle: {text}")


def configured(text: str, *, mode: int = 0o600) -> Change:
    return lambda found: found._replace(config=config(text, mode))


def rules(*extra: dict[str, object], without: str = "", versioning: str | None = "Enabled") -> Change:
    kept = tuple(rule for rule in RULES if without not in str(rule)) if without else RULES
    more = tuple({"Status": "Enabled", **each} for each in extra)
    return lambda found: found._replace(bucket=BucketFacts(versioning, (*kept, *more), lock=True, replicates=False))


def moved(days: int, name: str, size: int = 524288) -> dict[str, object]:
    where = {"And": {"Prefix": "", "ObjectSizeGreaterThan": size}}
    return {"Filter": where, "Transitions": [{"Days": days, "StorageClass": name}]}


def shell(line: str) -> Change:
    return lambda found: found._replace(calls=tuple(commands.in_text("restore.sh", line)))


def crontab(*lines: str) -> Change:
    text = [job for number, line in enumerate(lines) for job in commands.in_crontab(f"/etc/cron.d/old:{number}", line)]
    return lambda found: found._replace(jobs=tuple(text))


def database(**settings: str) -> Change:
    return lambda found: found._replace(database=live({**WELL, **settings}))


def both(*changes: Change) -> Change:
    def change(found: Facts) -> Facts:
        for each in changes:
            found = each(found)
        return found

    return change


DRIVE = "    usb: {kind: usb, path: vault, volume: {label: KEYS}}\n"
BACKUP = "root pgbackrest --stanza=chronos --type=incr backup || mail -s failed root"
INTO: list[tuple[str, Change]] = [
    ("schedule-collision", crontab(f"0 11 * * * {BACKUP}")),
    ("schedule-collision", crontab(f"@hourly {BACKUP}")),
    ("schedule-collision", crontab(f"7 3 * * * {BACKUP}", f"*/7 3 * * * {BACKUP}")),
    ("schedule-collision", both(  # at half past two on the day on which the clocks skip that hour
        inventory('{full: "0 11 * * *"', '{timezone: America/Toronto, full: "30 2 * * *"'),
        crontab(f"0 3 * * * {BACKUP}"))),
    ("rpo-archive-timeout", database(archive_timeout="0")),
    ("rpo-archive-timeout", database(archive_timeout="901")),
    ("rpo-archive-timeout", inventory("archive_timeout: 5 minutes", "archive_timeout: 16 minutes")),
    ("archiving-off", database(archive_mode="off")),
    ("archiving-off", database(archive_command="/bin/true")),
    ("retention-diff-counts-fulls", inventory("retention_full: 60}", "retention_full: 60, retention_diff: 60}")),
    ("retention-diff-counts-fulls", configured(CONFIG.replace("full=4", "full=60\nrepo1-retention-diff=4"))),
    ("backup-history", configured(CONFIG.replace("repo1-retention-history=365\n", ""))),
    ("pg-host", configured(CONFIG + "pg1-host=localhost\n")),
    ("config-faults", configured(CONFIG.replace("repo1-retention-full", "repo1-retention-ful"))),
    ("config-faults", configured(CONFIG.replace("[chronos]", "[ chronos ]"))),
    ("config-mode", configured(CONFIG, mode=0o644)),
    ("config-mode", inventory("/etc/pgbackrest/pgbackrest.conf\n", '/etc/pgbackrest/pgbackrest.conf\n    mode: "0640"\n')),
    ("single-file-mount", lambda found: found._replace(binds=(Bind(seeded.MOUNTED, "/etc/pgbackrest/pgbackrest.conf"),))),
    ("single-file-mount", lambda found: found._replace(binds=(Bind("/etc/pgbackrest/pgbackrest.conf", "/x.conf"),))),
    ("cipher-one-place", inventory(", paper: true", "")),
    ("cipher-one-place", inventory(
        ", paper: true", "", "  copies:\n", f"  copies:\n{DRIVE.replace('}}', '}, needs: [backup-cipher]}')}")),
    ("cipher-rotated", inventory('never: "NEVER"', "every: 1 year, rotated: 2025-11-27")),
    ("repo-unencrypted", inventory("cipher: aes-256-cbc", "cipher: none")),
    ("cron-unheard", crontab("7 3 * * * root pgbackrest --stanza=chronos --type=incr backup >> /var/log/x 2>&1")),
    ("status-trusted", shell("pgbackrest --stanza=chronos verify && rm -r /old")),
    ("status-trusted", shell("pgbackrest --stanza=chronos info || mail -s failed root")),
    ("nobody-looks", inventory(", run: [backup, check]", "")),
    ("restore-immediate", shell(f"{ONE_OFF} --type=immediate --target-action=promote restore")),
    ("restore-immediate", shell(f"{ONE_OFF} restore --type immediate --target-action promote")),
    ("exec-into-stopped", shell("docker exec -u postgres db /usr/bin/pgbackrest --stanza=chronos restore")),
    ("exec-into-stopped", inventory(", service: {host: prod, compose: /srv/db, name: db, volume: v}", "")),
    ("pitr-pauses", shell(f'{ONE_OFF} --type=time --target="2025-11-27 19:15:00+00" restore')),
    ("pitr-timezone", shell(f'{ONE_OFF} --type=time --target="2025-11-27 19:15:00" --target-action=promote restore')),
    ("drill-archives", shell("pgbackrest --stanza=chronos --pg1-path=/var/tmp/drill restore")),
    ("never-proved", inventory(", run: [backup, drill]", "")),
    ("no-objectives", inventory("{rpo: 15 minutes, rto: 1 hour}", "{rpo: 15 minutes}")),
    ("archive-class", rules(moved(1, "GLACIER"))),
    ("lifecycle-deletes-backups", rules({"Expiration": {"Days": 90}})),
    ("lifecycle-deletes-backups", both(  # weekly full ones, as only cron says
        inventory('  schedule: {full: "0 11 * * *", diff: "0 5,17,23 * * *", host: prod}\n', ""),
        crontab(f"0 11 * * 0 {BACKUP.replace('incr', 'full')}", f"0 5 * * * {BACKUP}"),
        rules({"Expiration": {"Days": 400}}))),
    ("lifecycle-expires-repository", lifecycle("{expire: 365 days}")),
    ("lifecycle-idle", lifecycle("{glacier_ir: 61 days}")),
    ("minimum-duration", lifecycle("{glacier_ir: 30 days}")),
    ("small-objects", rules(moved(61, "GLACIER_IR", 128 * 1024))),
    ("versions-for-ever", lifecycle("{noncurrent: never}")),
    ("versions-for-ever", rules(without="NoncurrentDays")),
    ("delete-markers", rules(without="DeleteMarker")),
    ("incomplete-uploads", lifecycle("{incomplete_uploads: never}")),
    ("no-versions", rules(versioning="Suspended")),
    ("no-versions", inventory("tls_only: false", "tls_only: false, versioning: false")),
    ("single-repository", lambda found: found._replace(bucket=BucketFacts("Enabled", RULES, lock=False, replicates=False))),
    ("drill-with-writing-key", inventory("{config: reading, path: /var/tmp/drill}", "{path: /var/tmp/drill}")),
    ("drill-with-writing-key", inventory("  drill_user: {name: reader, policy: reading, prefixes: [var/lib/pgbackrest/]}\n", "")),
    ("diff-for-rpo", inventory("\n  archive_timeout: 5 minutes", "")),
]  # fmt: skip


@pytest.mark.parametrize(("trap", "change"), INTO, ids=[f"{name}-{number}" for number, (name, _) in enumerate(INTO)])
def test_a_design_in_a_trap_is_told_with_evidence(trap: str, change: Change, tmp_path: Path):
    found = {each.trap.id: each for each in judging.judge(change(design(tmp_path)), TODAY)}
    assert found[trap].finding.state == posture.FAIL
    assert all(each.where and each.what for each in found[trap].evidence)


def test_every_trap_has_a_design_that_is_in_it():
    assert {name for name, _ in INTO} == judging.IDS


NOT_INTO: list[tuple[str, Change]] = [
    ("schedule-collision", crontab(f"7 3 * * * {BACKUP}", f"0 11 * * * {BACKUP.replace('backup', 'check')}")),
    ("schedule-collision", crontab(f"# 0 11 * * * {BACKUP}")),
    ("schedule-collision", both(
        inventory('{full: "0 11 * * *"', '{timezone: UTC, full: "30 2 * * *"'), crontab(f"0 3 * * * {BACKUP}"))),
    ("rpo-archive-timeout", database(archive_timeout="900")),
    ("archiving-off", database(archive_mode="always")),
    ("diff-for-rpo", inventory(
        "\n  archive_timeout: 5 minutes", "", 'full: "0 11 * * *", diff: "0 5,17,23 * * *"', 'full: "0 5,11 * * *"')),
    ("retention-diff-counts-fulls", inventory("retention_full: 60}", "retention_full: 60, retention_diff: 240}")),
    ("retention-diff-counts-fulls", inventory(
        "retention_full: 60}", "retention_full: 60, retention_diff: 60}", ', diff: "0 5,17,23 * * *"', "")),
    ("retention-diff-counts-fulls", configured(CONFIG.replace("full=4", "full=60\nrepo1-retention-diff=some"))),
    ("backup-history", both(
        lifecycle("{expire: 365 days}"), configured(CONFIG.replace("repo1-retention-history=365\n", "")))),
    ("backup-history", both(
        inventory("{noncurrent: 30 days}", "{expire: 365 days, noncurrent: never}",
                  "tls_only: false", "tls_only: false, versioning: false"),
        configured(CONFIG.replace("repo1-retention-history=365\n", "")))),
    ("pg-host", both(
        inventory("postgres: {host: prod-db", "postgres: {host: prod"), configured(CONFIG + "pg1-host=db.birds\n"))),
    ("config-faults", configured(CONFIG + "# pg1-hots=x\n")),
    ("cipher-one-place", inventory(", paper: true", "", "  copies:\n", f"  copies:\n{DRIVE}")),
    ("cipher-one-place", inventory(
        ", paper: true", "", "  copies:\n", "  copies:\n    away: {kind: rclone, remote: 'away:vault', needs: []}\n")),
    ("cron-unheard", crontab(f"7 3 * * * {BACKUP}")),
    ("nobody-looks", inventory("run: [backup, check]", "run: [backup, status]")),
    ("status-trusted", shell("pgbackrest --stanza=chronos check && echo fine; pgbackrest info | jq .")),
    ("restore-immediate", shell(f"{ONE_OFF} restore; pgbackrest --type=immediate help restored")),
    ("exec-into-stopped", shell("docker exec db pgbackrest --stanza=chronos info")),
    ("exec-into-stopped", shell(f"{ONE_OFF} restore")),
    ("exec-into-stopped", inventory(
        ", service: {host: prod, compose: /srv/db, name: db, volume: v}", "", "stanza: chronos\n  host: prod-db",
        "stanza: chronos\n  host: prod")),
    *(("pitr-timezone", shell(f'{ONE_OFF} --type=time --target="2025-11-27 19:15:00{zone}" restore'))
      for zone in ("-05", "+05:30", "Z", " UTC")),
    ("pitr-timezone", shell(f"{ONE_OFF} --type=xid --target=4711 restore")),
    ("pitr-pauses", shell(f'{ONE_OFF} --type=time --target="2025-11-27 19:15:00Z" --target-action=shutdown restore')),
    ("pitr-pauses", shell(f"{ONE_OFF} restore")),
    ("drill-archives", shell("pgbackrest --stanza=chronos --pg1-path=/var/tmp/drill --archive-mode=off restore")),
    ("drill-archives", shell("pgbackrest --stanza=chronos --pg1-path=/var/lib/postgresql/data/ restore")),
    ("never-proved", inventory(", run: [backup, drill]", "", "rto: 1 hour}", "rto: 1 hour, drill: 1 month}")),
    ("archive-class", rules(moved(1, "GLACIER_IR"))),
    ("lifecycle-deletes-backups", rules({"Expiration": {"Days": 91}})),
    ("minimum-duration", lifecycle("{glacier_ir: 61 days}")),
    ("small-objects", rules(moved(61, "GLACIER_IR", 358400))),
    ("small-objects", rules({**moved(61, "GLACIER_IR"), "Filter": {"ObjectSizeGreaterThan": 358400}})),
    ("delete-markers", rules(without="DeleteMarker", versioning="Suspended")),
    ("versions-for-ever", inventory(
        "{noncurrent: 30 days}", "{noncurrent: never}", "tls_only: false", "tls_only: false, versioning: false")),
    ("single-repository", lambda found: found._replace(
        bucket=BucketFacts("Enabled", RULES, lock=False, replicates=True))),
    ("single-repository", both(
        configured(CONFIG.replace("[chronos]", "repo2-path=/second\n[chronos]")),
        lambda found: found._replace(bucket=BucketFacts("Enabled", RULES, lock=False, replicates=False)))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("trap", "change"), NOT_INTO, ids=[f"{name}-{number}" for number, (name, _) in enumerate(NOT_INTO)]
)
def test_a_design_beside_a_trap_is_not_in_it(trap: str, change: Change, tmp_path: Path):
    assert states(change(design(tmp_path)))[trap] == posture.PASS


# --- what is not known, and what is accepted --------------------------------------------------------------------------

NOT_ASKED = Unknown("nobody was asked", untried=True)


def without(name: str) -> Change:
    """A fact is not known: one of all, or one of the bucket."""
    whole, _, part = name.partition(".")
    changed: dict[str, Any] = {part or whole: NOT_ASKED}
    if not part:
        return lambda found: found._replace(**changed)
    return lambda found: found._replace(bucket=found.bucket._replace(**changed))


@pytest.mark.parametrize("name", ["config", "jobs", "database", "binds", "bucket.versioning", "bucket.rules"])
def test_what_could_not_be_asked_is_never_a_pass(name: str, tmp_path: Path):
    found = states(without(name)(design(tmp_path)))
    rely = {trap.id for trap in judging.TRAPS if name in trap.needs}
    assert rely
    assert {each for each, state in found.items() if state == posture.UNKNOWN} == rely


@pytest.mark.parametrize(
    ("names", "state"),
    [
        (["bucket.replicates"], posture.UNKNOWN),  # though the bucket is locked, which would be enough
        (["bucket.lock", "bucket.replicates"], posture.FAIL),
    ],
)
def test_a_bucket_of_which_no_copy_is_known_is_the_only_one(names: list[str], state: str, tmp_path: Path):
    found = states(both(*map(without, names))(design(tmp_path)))
    assert {name for name, each in found.items() if each != posture.PASS} == {"single-repository"}
    assert found["single-repository"] == state


@pytest.mark.parametrize(
    ("name", "change", "failing_by_the_rest"),
    [
        ("bucket.rules", rules(versioning="Suspended"), {"no-versions"}),
        ("bucket.versioning", rules(moved(1, "GLACIER")), {"archive-class"}),
    ],
)
def test_one_fact_of_the_bucket_that_is_not_known_leaves_the_others(
    name: str, change: Change, failing_by_the_rest: set[str], tmp_path: Path
):
    assert failing(without(name)(change(design(tmp_path)))) >= failing_by_the_rest


def test_who_may_not_be_asked_weighs_more_than_who_was_not_asked(tmp_path):
    found = without("bucket.rules")(design(tmp_path))
    refused = found._replace(bucket=found.bucket._replace(versioning=Unknown("no right to look")))
    for facts_, untried in ((found, True), (refused, False)):
        told = {each.trap.id: each.finding for each in judging.judge(facts_, TODAY)}["versions-for-ever"]
        assert (told.state, told.untried) == (posture.UNKNOWN, untried)


def test_what_speaks_for_a_trap_counts_though_the_rest_is_not_known(tmp_path):
    change = inventory("archive_timeout: 5 minutes", "archive_timeout: 16 minutes")
    found = change(design(tmp_path))._replace(database=NOT_ASKED)
    assert states(found)["rpo-archive-timeout"] == posture.FAIL


ACCEPTING = "  accepted: [{{control: repo-unencrypted, reason: a toy, until: {until}}}]\n  lifecycle:"


@pytest.mark.parametrize(("days", "state"), [(0, posture.ACCEPTED), (-1, posture.FAIL)])
def test_a_trap_is_accepted_through_the_day_that_the_inventory_names(days: int, state: str, tmp_path: Path):
    row = ACCEPTING.format(until=TODAY + timedelta(days=days))
    found = inventory("cipher: aes-256-cbc", "cipher: none", "  lifecycle:", row)(design(tmp_path))
    assert states(found)["repo-unencrypted"] == state


def test_an_acceptance_of_a_trap_that_the_design_is_not_in_is_told(tmp_path):
    found = inventory("  lifecycle:", ACCEPTING.format(until=TODAY))(design(tmp_path))
    told = judging.unneeded(judging.judge(found, TODAY), found.inventory)
    assert [each.control for each in told] == ["repo-unencrypted"]


def test_the_worst_is_told_first(tmp_path):
    found = both(lifecycle("{expire: 365 days}"), configured(CONFIG, mode=0o644))(design(tmp_path))
    named = [each.trap.severity for each in judging.judge(found, TODAY) if each.finding.state == posture.FAIL]
    assert named == ["wrong", "note"]


# --- the design as it was first built, and this repository's own ------------------------------------------------------

SEEDS = {
    "schedule-collision", "rpo-archive-timeout", "diff-for-rpo", "retention-diff-counts-fulls", "backup-history",
    "single-file-mount", "cipher-one-place", "cron-unheard", "nobody-looks", "restore-immediate", "exec-into-stopped",
    "pitr-pauses", "pitr-timezone", "never-proved", "archive-class", "lifecycle-expires-repository", "lifecycle-idle",
    "small-objects", "versions-for-ever", "delete-markers", "incomplete-uploads", "single-repository",
    "drill-with-writing-key",
}  # fmt: skip


def first_built(folder: Path) -> Facts:
    found = design(folder, seeded.INVENTORY)
    lines = enumerate(seeded.CRONTAB.split("\n"), 1)
    return found._replace(
        calls=tuple(commands.in_text("runbook.md", seeded.RUNBOOK)),
        config=config(seeded.CONFIG),
        jobs=tuple(job for number, line in lines for job in commands.in_crontab(f"cron.d/pgbackrest:{number}", line)),
        database=live(seeded.DATABASE),
        bucket=BucketFacts("Enabled", seeded.LIFECYCLE, lock=False, replicates=False),
        binds=(Bind(seeded.MOUNTED, "/etc/pgbackrest/pgbackrest.conf"),),
    )


def test_the_design_as_it_was_first_built_is_in_all_its_traps_and_in_no_other(tmp_path):
    assert failing(first_built(tmp_path)) == SEEDS


def test_the_evidence_says_where_each_thing_was_read(tmp_path):
    found = {each.trap.id: each.evidence for each in judging.judge(first_built(tmp_path), TODAY)}
    assert [each.where for each in found["restore-immediate"]] == ["runbook.md:7", "runbook.md:27"]
    assert [tuple(each) for each in found["schedule-collision"]] == [
        ("cron.d/pgbackrest:4", "diff starts with full of cron.d/pgbackrest:2 at 11:00")
    ]
    assert [each.where for each in found["pitr-timezone"]] == ["runbook.md:15"]
    assert [each.where for each in found["retention-diff-counts-fulls"]] == [  # what the file repeats is said once
        "inventory.yaml, pgbackrest.repo.retention_diff"
    ]
    assert "the bucket project-chronos-backups" in [each.where for each in found["archive-class"]]


def test_this_repositorys_own_design_is_in_no_trap_that_it_does_not_accept():
    own = load.read(TOP / "inventory.yaml")
    assert own.pgbackrest is not None
    assert own.cloud is not None
    found = design_of(own)._replace(bucket=BucketFacts("Enabled", RULES, lock=False, replicates=False))
    days = [each.until for each in own.cloud.accepted]
    judged = judging.judge(found, min(days))
    assert [each.trap.id for each in judged if each.finding.state == posture.FAIL] == []
    assert judging.unneeded(judged, own) == []


def test_every_trap_is_explained_and_the_document_has_no_other():
    text = (TOP / "docs/design-check.md").read_text()
    rows = {line for line in text.splitlines() if line.startswith("| `")}
    assert rows == {f"| `{trap.id}` | {trap.severity} | {trap.title}: {trap.why} |" for trap in judging.TRAPS}


def test_the_past_that_is_sure_to_be_there_goes_by_the_shortest_pause_between_full_backups():
    assert retention.days_between([0, 7, 31]) == 7
    assert retention.days_between([3]) == 366


# --- reading ----------------------------------------------------------------------------------------------------------


def test_no_value_of_a_secret_option_is_kept_and_each_option_has_its_line():
    found = config("[global]\nrepo-s3-key=abc\nrepo1-cipher-pass = x y\nunheard=of\nprocess-max=2\n")
    assert [(each.name, each.value, each.where) for each in found.options] == [
        ("repo1-s3-key", "", "pgbackrest.conf:2"),
        ("repo1-cipher-pass", "", "pgbackrest.conf:3"),
        ("process-max", "2", "pgbackrest.conf:5"),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("sudo -u postgres pgbackrest --stanza=x --log-level-console=info backup; echo done", [("backup", "info", 3)]),
        ("/usr/bin/pgbackrest --log-level-console info backup", [("backup", "info", 0)]),
        ("pgbackrest --delta --no-online --force restore", [("restore", None, 0)]),
        ("a && pgbackrest info | b", [("info", None, 2)]),
        ("pgbackrest info && pgbackrest check", [("info", None, 3), ("check", None, 0)]),
        ("it isn't pgbackrest backup", [("backup", None, 0)]),
        ("pgbackrest --version", []),
        ("cat pgbackrest.conf restore", []),
    ],
)
def test_calls_of_pgbackrest_are_found_in_a_line_of_a_shell(line, found):
    calls = commands.in_line("x", line)
    assert [(each.command, each.options.get("log-level-console"), len(each.after)) for each in calls] == found


def test_in_a_runbook_only_what_is_to_be_pasted_counts():
    text = "never `pgbackrest restore`\n\npgbackrest restore\n```\n# pgbackrest restore\npgbackrest check\n```\n"
    assert [(each.where, each.command) for each in commands.in_text("a.md", text)] == [("a.md:6", "check")]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "0 5 * * xyz root pgbackrest backup",
        "5/ * * * * root pgbackrest backup",
        "SHELL=/bin/sh",
        "0 99 * * * root pgbackrest backup",
        "MAILTO=pgbackrest backup",
        "0 5 * * pgbackrest",
    ],
)
def test_what_is_no_line_of_cron_is_passed_over(line):
    assert commands.in_crontab("x", line) == []


def test_a_line_that_goes_on_after_the_end_of_its_file_is_read():
    assert [each.command for each in commands.in_text("a.sh", "pgbackrest \\\n check \\")] == ["check"]


def test_a_percent_sign_is_escaped_in_a_crontab():
    (job,) = commands.in_crontab("x", r'0 5 * * * root pgbackrest --annotation="on=\%d" backup')
    assert job.call.options == {"annotation": "on=%d"}


def test_a_command_of_the_inventory_may_be_one_for_a_shell():
    argv = ("sh", "-c", "pgbackrest --stanza=x --type=immediate restore")
    assert [each.options for each in commands.in_argv("x", argv)] == [{"stanza": "x", "type": "immediate"}]
