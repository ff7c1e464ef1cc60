"""Tokens of known formats and private keys: found where they stand, with their exact extent; and nothing else found.

Every token is made here, at run time, from the alphabet and the checksum that its provider documents.
"""

import base64
import json
import random
import re
import string
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_secrets.scan import checks, formats
from chronos_secrets.scan.found import CERTAIN, LIKELY, POSSIBLE, Match

ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "w": string.ascii_letters + string.digits + "_-",
    "b": string.ascii_letters + string.digits + "+/",
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "d": string.digits,
    "l": string.ascii_lowercase + string.digits,
    "u": string.ascii_uppercase + string.digits,
    "B": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
}

# What a token looks like: `{h32}` is 32 characters of the alphabet `h` above. Where a token is known by what stands
# beside it, it is what stands between the bars.
TEMPLATES = {
    "aws-access-key-id": ["AKIA{B16}", "ASIA{B16}"],
    "aws-session-token": ["IQoJb3JpZ2luX2Vj{a400}"],
    "aws-bedrock-key": ["ABSKQmVkcm9ja0FQSUtleS{b109}=", "bedrock-api-key-{b200}"],
    "amazon-login-secret": ["amzn1.oa2-cs.v1.{h64}"],
    "amazon-mws-token": ["amzn.mws.{uuid}"],
    "google-api-key": ["AIza{w35}"],
    "google-oauth-secret": ["GOCSPX-{w28}"],
    "google-refresh-token": ["1//0{w90}"],
    "google-access-token": ["ya29.{w150}", "ya29.a0{w150}"],
    "google-hmac-key-id": ["GOOG1E{u55}"],
    "firebase-messaging-key": ["AAAA{w7}:APA91b{w134}"],
    "azure-client-secret": ["{a3}8Q~{w34}"],
    "azure-storage-key": [
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=|{b86}==|;EndpointSuffix=core.windows.net",
    ],
    "azure-sas-signature": ["https://x.blob.core.windows.net/c/f?sv=2022-11-02&se=2027-01-01&sig=|{a40}%2Fa1%3D|&sp=r"],
    "azure-shared-access-key": [
        "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=|{b43}=|;EntityPath=q"
    ],
    "azure-devops-token": ["{a76}AZDO{a4}"],
    "azure-service-key": ["{a52}JQQJ99A{L}{a24}", "{a42}AzSeA{a5}", "{w44}AzFu{w5}Q=="],
    "alibaba-access-key-id": ["LTAI5t{a18}"],
    "dingtalk-webhook": ["https://oapi.dingtalk.com/robot/send?access_token=|{h64}|"],
    "tencent-secret-id": ["AKID{a32}"],
    "wecom-webhook": ["https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=|{uuid}|"],
    "yandex-key": ["AQVN{w36}", "y0_{w55}"],
    "digitalocean-token": ["dop_v1_{h64}", "doo_v1_{h64}", "dor_v1_{h64}"],
    "heroku-key": ["HRKU-AA{w58}", "HRKU-{uuid}"],
    "fly-token": ["fo1_{w43}", "fm2_{b300}=="],
    "cloudflare-token": ["cfk_{a40}{h8}", "cfut_{a40}{h8}", "cfat_{a40}{h8}"],
    "cloudflare-origin-ca-key": ["v1.0-{h24}-{h146}"],
    "netlify-token": ["nfp_{a36}"],
    "neon-key": ["napi_{l64}"],
    "render-key": ["rnd_{a32}"],
    "deno-token": ["ddp_{a36}"],
    "github-token": ["{github:ghp_}", "{github:gho_}", "{github:ghu_}", "{github:ghs_}", "{github:ghr_}", "ghs_{a90}"],
    "github-fine-grained-token": ["github_pat_{a22}_{a59}"],
    "gitlab-token": [
        "glpat-{w20}", "gldt-{w20}", "glft-{w20}", "glptt-{h40}", "glrt-t1_{w20}", "glcbt-64_{w20}", "glsoat-{w20}",
        "gloas-{h64}", "glagent-{w50}", "glpat-{w27}.01.{l9}", "{gitlab:glpat-}", "{gitlab:glrt-t3_}",
    ],
    "gitlab-runner-token": ["GR1348941{w20}"],
    "npm-token": ["{github:npm_}"],
    "pypi-token": ["{pypi}"],
    "rubygems-key": ["rubygems_{h48}"],
    "crates-token": ["cio{a32}"],
    "nuget-key": ["oy2{l43}"],
    "clojars-token": ["CLOJARS_{h60}"],
    "docker-token": ["dckr_pat_{w27}", "dckr_oat_{w32}"],
    "docker-swarm-key": ["SWMTKN-1-{l50}-{l25}", "SWMKEY-1-{b43}"],
    "artifactory-token": ["AKCp{a69}", "cmVmdGtu{a56}"],
    "circleci-token": ["CCIPAT_{a22}_{h40}", "CCIPRJ_{a22}_{h40}"],
    "buildkite-token": ["bkua_{h40}"],
    "sonar-token": ["squ_{h40}", "sqp_{h40}", "sqa_{h40}"],
    "sourcegraph-token": ["sgp_{h40}", "sgp_{h16}_{h40}", "sgp_local_{h40}"],
    "infracost-key": ["ico-{a32}"],
    "pulumi-token": ["pul-{h40}"],
    "terraform-token": ["{a14}.atlasv1.{w67}"],
    "vault-token": ["hvs.{w90}", "hvb.{w140}"],
    "openshift-token": ["sha256~{w43}"],
    "prefect-key": ["pnu_{a36}"],
    "doppler-token": ["dp.pt.{a43}", "dp.st.prd.{a43}", "dp.sa.{a44}"],
    "1password-token": ["ops_{json:800}"],
    "1password-secret-key": ["A3-{u6}-{u6}-{u5}-{u5}-{u5}-{u5}"],
    "tailscale-key": ["tskey-auth-{a13}-{a32}", "tskey-api-{a13}-{a32}"],
    "slack-token": [
        "xoxb-{d12}-{d13}-{a24}", "xoxp-{d12}-{d12}-{d13}-{h32}", "xoxe.xoxp-1-{w160}", "xoxe-1-{w140}",
        "xapp-1-A{u10}-{d13}-{h64}",
    ],
    "slack-webhook": [
        "https://hooks.slack.com/services/T{u8}/B{u10}/{a24}",
        "hooks.slack.com/services/T{u8}/B{u10}/{a24}",
        "https://hooks.slack.com/workflows/T{u8}/A{u8}/{d18}/{a24}",
        "https://hooks.slack.com/triggers/T{u8}/{d13}/{h32}",
    ],
    "teams-webhook": ["https://x.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/|{h32}|/{uuid}"],
    "discord-token": ["{discord}"],
    "discord-webhook": ["https://discord.com/api/webhooks/|{d19}/{w68}|", "https://discordapp.com/api/webhooks/|{d18}/{w68}|"],
    "telegram-token": ["{d9}:AA{w33}", "https://api.telegram.org/bot|{d10}:AA{w33}|/getMe"],
    "twilio-key": ["SK{h32}"],
    "twilio-account-sid": ["AC{h32}"],
    "sendgrid-key": ["SG.{w22}.{w43}"],
    "mailgun-key": ["key-{h32}"],
    "mailchimp-key": ["{h32}-us14", "{h32}-us6"],
    "mailersend-token": ["mlsn.{h64}"],
    "brevo-key": ["xkeysib-{h64}-{a16}"],
    "resend-key": ["re_{a8}_{a24}"],
    "hubspot-token": ["pat-na1-{uuid}", "pat-eu1-{uuid}"],
    "intercom-token": ["dG9rO{a55}="],
    "atlassian-token": ["ATATT3xFfGF0{w175}={H8}", "ATCTT3xFfGN0{w160}={H8}", "ATBB{a24}{H8}"],
    "trello-token": ["ATTA{h64}{H8}"],
    "linear-key": ["lin_api_{a40}", "lin_oauth_{h64}"],
    "notion-token": ["ntn_{d11}{a35}", "secret_{a43}"],
    "airtable-token": ["pat{a14}.{h64}"],
    "clickup-token": ["pk_{d8}_{u32}"],
    "figma-token": ["figd_{w40}"],
    "typeform-token": ["tfp_{w44}"],
    "contentful-token": ["CFPAT-{w43}"],
    "readme-key": ["rdme_{l70}"],
    "postman-key": ["PMAK-{h24}-{h34}", "PMAT-{u26}"],
    "facebook-token": ["EAAC{a170}"],
    "twitter-bearer": ["AAAAAAAAAAAAAAAAAAAAA{a24}%2B{a40}%3D{a20}"],
    "dropbox-token": ["sl.{w135}", "sl.u.{w140}"],
    "stripe-key": ["sk_live_{a24}", "rk_live_{a99}", "sk_test_51{a97}"],
    "webhook-secret": ["whsec_{a32}", "whsec_{b43}="],
    "square-token": ["EAAA{w60}", "sq0atp-{w22}", "sq0csp-{w43}"],
    "braintree-token": ["access_token$production${l16}${h32}"],
    "shopify-token": ["shpat_{h32}", "shpca_{h32}", "shppa_{h32}", "shpss_{h32}"],
    "easypost-key": ["EZAK{a54}", "EZTK{a54}"],
    "shippo-token": ["shippo_live_{h40}"],
    "duffel-token": ["duffel_live_{w43}"],
    "plaid-token": ["access-production-{uuid}"],
    "flutterwave-key": ["FLWSECK-{h32}-X", "FLWSECK_TEST-{h32}-X"],
    "databricks-token": ["dapi{h32}", "dapi{h32}-3"],
    "planetscale-token": ["pscale_tkn_{w43}", "pscale_pw_{w43}"],
    "supabase-key": ["sbp_{h40}", "sb_secret_{w22}_{w8}"],
    "grafana-token": ["{grafana}"],
    "grafana-cloud-token": ["glc_{json:120}"],
    "newrelic-key": ["NRAK-{u27}", "NRII-{w32}", "{h36}NRAL", "eu01xx{h30}NRAL"],
    "sentry-token": ["sntrys_{json:150}_{b43}", "sntryu_{h64}"],
    "dynatrace-token": ["dt0c01.{B24}.{B64}"],
    "launchdarkly-key": ["sdk-{uuid}"],
    "adafruit-key": ["aio_{a28}"],
    "mapbox-token": ["sk.eyJ1Ijoi{a50}.{w22}"],
    "okta-token": ["Authorization: SSWS |00{w40}|"],
    "openai-key": ["sk-{a20}T3BlbkFJ{a20}", "sk-proj-{w74}T3BlbkFJ{w74}", "sk-svcacct-{w58}T3BlbkFJ{w58}"],
    "anthropic-key": ["sk-ant-api03-{w93}AA", "sk-ant-admin01-{w93}AA"],
    "openrouter-key": ["sk-or-v1-{h64}"],
    "langfuse-key": ["sk-lf-{uuid}"],
    "sk-api-key": ["sk-{h32}", "sk-{a48}"],
    "huggingface-token": ["hf_{a34}", "api_org_{a34}"],
    "replicate-token": ["r8_{a37}"],
    "groq-key": ["gsk_{a52}"],
    "xai-key": ["xai-{a80}"],
    "perplexity-key": ["pplx-{a48}"],
    "nvidia-key": ["nvapi-{w64}"],
    "cerebras-key": ["csk-{l48}"],
    "together-key": ["tgp_v1_{w43}"],
    "llamacloud-key": ["llx-{a48}"],
    "langsmith-key": ["lsv2_pt_{h32}_{h10}"],
    "pinecone-key": ["pcsk_{a6}_{a63}"],
    "tavily-key": ["tvly-{a32}", "tvly-dev-{a32}"],
    "firecrawl-key": ["fc-{h32}"],
    "e2b-key": ["e2b_{h40}"],
    "elevenlabs-key": ["sk_{h48}"],
    "age-key": ["{age:AGE-SECRET-KEY-}", "{age:AGE-SECRET-KEY-PQ-}"],
    "nkey-seed": ["{nkey:U}", "{nkey:A}", "{nkey:O}"],
    "jwt": ["{jwt}"],
}  # fmt: skip


def _base62(
    number: int, width: int, alphabet: str = string.digits + string.ascii_uppercase + string.ascii_lowercase
) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(alphabet))
        digits = alphabet[digit] + digits
    return digits.rjust(width, "0")


def _github(chance: random.Random, prefix: str) -> str:
    body = "".join(chance.choices(ALPHABETS["a"], k=30))
    return prefix + body + _base62(zlib.crc32(body.encode()), 6)


def _gitlab(chance: random.Random, prefix: str) -> str:
    token = f"{prefix}{''.join(chance.choices(ALPHABETS['w'], k=40))}.01.0{chance.choice(string.ascii_lowercase)}"
    return token + _base62(zlib.crc32(token.encode()), 7, string.digits + string.ascii_lowercase)


def _grafana(chance: random.Random) -> str:
    key = "glsa_" + "".join(chance.choices(ALPHABETS["a"], k=32))
    return f"{key}_{zlib.crc32(key.encode()).to_bytes(4, 'little').hex()}"


def _pypi(chance: random.Random) -> str:
    macaroon = b"\x02\x01\x08pypi.org\x02\x24" + chance.randbytes(100)
    return "pypi-" + base64.urlsafe_b64encode(macaroon).decode().rstrip("=")


def _encoded_object(chance: random.Random, size: str) -> str:
    content = {"n": "x", "k": "".join(chance.choices(ALPHABETS["a"], k=int(size) * 3 // 4 - 20))}
    return base64.b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _discord(chance: random.Random) -> str:
    number = base64.b64encode(str(chance.randrange(10**17, 10**18)).encode()).decode()
    return f"{number}.{''.join(chance.choices(ALPHABETS['w'], k=6))}.{''.join(chance.choices(ALPHABETS['w'], k=38))}"


def _bech32_polymod(values: list[int]) -> int:
    """As BIP 173 writes it."""
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
            checksum ^= generator if (top >> bit) & 1 else 0
    return checksum


def _age(chance: random.Random, prefix: str) -> str:
    """32 random bytes in bech32."""
    bits = int.from_bytes(chance.randbytes(32), "big") << 4
    data = [bits >> 5 * (51 - index) & 31 for index in range(52)]
    expanded = [ord(char) >> 5 for char in prefix.lower()] + [0] + [ord(char) & 31 for char in prefix.lower()]
    checksum = _bech32_polymod(expanded + data + [0] * 6) ^ 1
    data += [checksum >> 5 * (5 - index) & 31 for index in range(6)]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[value] for value in data).upper()


def _nkey(chance: random.Random, kind: str) -> str:
    """A seed as nkeys encodes it: the prefix bytes of a seed and its kind, 32 bytes, CRC-16/XMODEM, base 32."""
    first, second = 18 << 3, (ord(kind) - ord("A")) << 3
    raw = bytes([first | second >> 5, (second & 31) << 3]) + chance.randbytes(32)
    checksum = 0
    for byte in raw:
        checksum ^= byte << 8
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x1021 if checksum & 0x8000 else checksum << 1) & 0xFFFF
    return base64.b32encode(raw + checksum.to_bytes(2, "little")).decode().rstrip("=")


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def _jwt(chance: random.Random, header: object = None, claims: object = None) -> str:
    header = header or {"alg": "HS256", "typ": "JWT"}
    claims = claims or {"sub": str(chance.randrange(10**9)), "iat": chance.randrange(15 * 10**8, 18 * 10**8)}
    signature = base64.urlsafe_b64encode(chance.randbytes(32)).decode().rstrip("=")
    return f"{_part(header)}.{_part(claims)}.{signature}"


MAKERS: dict[str, Callable[..., str]] = {
    "github": _github, "gitlab": _gitlab, "grafana": _grafana, "pypi": _pypi, "json": _encoded_object,
    "discord": _discord, "age": _age, "nkey": _nkey, "jwt": _jwt,
    "uuid": lambda chance: "-".join("".join(chance.choices("0123456789abcdef", k=size)) for size in (8, 4, 4, 4, 12)),
    "L": lambda chance: chance.choice("ABCDEFGHIJKL"),
}  # fmt: skip


def make(template: str, chance: random.Random) -> tuple[str, str, str]:
    """What stands before a token, the token, and what stands behind it."""

    def filled(field: re.Match[str]) -> str:
        name, _, argument = field[1].partition(":")
        if name in MAKERS:
            return MAKERS[name](chance, *([argument] if argument else []))
        while True:  # a token that ends in a sign would merge with what the tests put behind it
            value = "".join(chance.choices(ALPHABETS[name[0]], k=int(name[1:])))
            if value[-1].isalnum() and value[0].isalnum():
                return value

    before, *rest = re.sub(r"\{([\w:-]+)\}", filled, template).split("|")
    return (before, rest[0], rest[1]) if rest else ("", before, "")


ROWS = [(rule, template) for rule, templates in TEMPLATES.items() for template in templates]
every_format = pytest.mark.parametrize(
    ("rule", "template"), ROWS, ids=[f"{rule}-{at}" for at, (rule, _) in enumerate(ROWS)]
)


def found(text: str | bytes) -> list[Match]:
    return formats.find(text.encode() if isinstance(text, str) else text, b"")


def shown(text: str | bytes) -> list[Match]:
    """What is told without `--level paranoid`."""
    return [match for match in found(text) if match.level != POSSIBLE]


def rules(matches: list[Match]) -> set[str]:
    return {match.rule for match in matches}


def test_every_rule_has_a_documented_source_and_a_made_token() -> None:
    assert set(TEMPLATES) | {"private-key", "jwk"} == set(formats.RULES)
    for rule, (what, level, source) in formats.RULES.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule)
        assert what
        assert source
        assert level in (CERTAIN, LIKELY, POSSIBLE)


CONTEXTS = {
    "quoted": 'token = "{}"\n',
    "assigned": "export TOKEN={}\nnext",
    "in yaml": "token: {}\r\n",
    "in a URL": "curl 'https://host.example/v1?access={}&page=2'",
    "at the end of the text": "token {}",
    "alone": "{}",
    "glued to punctuation": "call(<{}>,[x]);",
    "in a JSON string behind a line end": '{{"log": "said:\\n{}\\nbye"}}',
    "behind an escaped quote": '"{{\\"token\\": \\"{}\\"}}"',
    "in a URL, percent-encoded": "https://host.example/?next=%2Fv1%3Ftoken%3D{}%26page=2",
    "coloured": "\x1b[1;32m{}\x1b[0m",
    "in a comment": "# {} (old)",
}


@every_format
def test_a_token_is_found_with_its_exact_extent_wherever_it_stands(rule: str, template: str) -> None:
    chance = random.Random(rule + template)
    before, token, behind = make(template, chance)
    for context in CONTEXTS.values():
        text = context.format(before + token + behind)
        matches = [match for match in found(text) if match.rule == rule]
        assert [match.secret.decode() for match in matches] == [token]
        assert text[matches[0].start : matches[0].end] == token
        assert matches[0].level == POSSIBLE or rule != "intercom-token"


@every_format
def test_tokens_of_a_format_are_practically_always_found(rule: str, template: str) -> None:
    chance = random.Random(template)
    texts = ["x = '{}{}{}'".format(*make(template, chance)) for _ in range(60)]
    missed = sum(rule not in rules(found(text)) for text in texts)
    # Of a SAS signature or an account key with many slashes no run is long enough; and chance makes a few look wordy.
    assert missed <= (4 if rule.startswith("azure") else 2)


@every_format
def test_a_placeholder_in_the_form_of_a_token_is_not_found(rule: str, template: str) -> None:
    for filler in (
        "x",
        "X",
        "0",
        "1",
        "a",
        "0123456789abcdef",
        "abcdefghijklmnopqrstuvwxyz",
        "1234567890",
        "yourTokenHere",
    ):
        filled = re.sub(
            r"\{([abdhlwuHB])(\d+)\}", lambda field, f=filler: (f * int(field[2]))[: int(field[2])], template
        )
        filled = filled.replace("{uuid}", "00000000-0000-0000-0000-000000000000").replace("|", "")
        if "{" not in filled:
            assert rule not in rules(found(f"token: {filled}"))


@every_format
def test_a_token_that_is_part_of_a_longer_word_is_not_found(rule: str, template: str) -> None:
    before, token, behind = make(template, random.Random(template))
    if not before:
        assert all(match.secret.decode() != token for match in found(f"abc{token}"))
    if not behind and rule not in ("mailchimp-key",):
        assert all(match.secret.decode() != token for match in found(f"{before}{token}x1Y"))


def _drawn(alphabet: str, size: int) -> str:
    return "".join(random.Random(19).choices(alphabet, k=size))


@pytest.mark.parametrize(
    "value",
    [
        _drawn("AEIM48", 36),
        "56789PQRSTUVghijklm2345WXYZ",
        "".join(random.Random(19).sample(ALPHABETS["a"], 24)) * 2,
        "".join(random.Random(19).sample(ALPHABETS["a"], 24)) * 2 + "==",
        _drawn(ALPHABETS["a"], 24) + "aaaaaa" + _drawn(ALPHABETS["a"], 6),
        "correctHorseBatteryStapleForEver",
        _drawn(ALPHABETS["a"], 20) + "Placeholder",
    ],
    ids=["few characters", "sequences", "repeated", "repeated and padded", "a long run", "words", "placeholder"],
)
def test_a_value_that_nobody_generated_is_told_from_one_that_was(value: str) -> None:
    assert not checks.looks_generated(value.encode())
    assert checks.looks_generated(_drawn(ALPHABETS["a"], 36).encode())


def test_a_webhook_at_the_very_start_of_a_text_is_found_whole() -> None:
    _, token, _ = make("hooks.slack.com/services/T{u8}/B{u10}/{a24}", random.Random(20))
    assert [match.secret.decode() for match in found(f"{token} 12345678")] == [token]


def test_every_place_of_a_token_is_told() -> None:
    for template in ("AKIA{B16}", "{a3}8Q~{w34}", "SG.{w22}.{w43}"):
        _, token, _ = make(template, random.Random(17))
        text = f"first {token}\nsecond '{token}'"
        assert [match.start for match in found(text)] == [6, 6 + len(token) + 9]


def test_a_token_of_fixed_length_does_not_go_on_behind_a_hyphen() -> None:
    for template in ("AIza{w35}", "glpat-{w20}", "SG.{w22}.{w43}", "dckr_pat_{w27}"):
        _, token, _ = make(template, random.Random(18))
        assert found(f"{token} more")
        assert not found(f"{token}-more")


def test_a_documents_example_key_is_not_found() -> None:
    chance = random.Random(1)
    assert not found("AKIA" + "".join(chance.choices(ALPHABETS["B"], k=9)) + "EXAMPLE")
    assert rules(found("AKIA" + "".join(chance.choices(ALPHABETS["B"], k=16)))) == {"aws-access-key-id"}
    for words in ("ExampleTokenForDocumentation1", "putYourOwnKeyHereInsteadOfThis", "ThisTokenIsNotARealOneAtAll1234"):
        assert not found(f"sk_live_{words}")


def test_an_old_aws_key_id_outside_base_32_is_only_likely() -> None:
    text = "AKIA" + "J8W0" + "".join(random.Random(2).choices(ALPHABETS["B"], k=12))
    assert [match.level for match in found(text)] == [LIKELY]


CHECKED = ["{github:ghp_}", "{github:ghs_}", "{github:npm_}", "{grafana}"]


@pytest.mark.parametrize("template", CHECKED, ids=["github", "github-app", "npm", "grafana"])
def test_a_wrong_checksum_is_told_only_to_the_paranoid(template: str) -> None:
    for seed in range(20):
        _, token, _ = make(template, random.Random(seed))
        assert [(match.level, "checksum is right" in match.reason) for match in found(token)] == [(CERTAIN, True)]
        altered = token[:10] + ("b" if token[10] != "b" else "c") + token[11:]
        assert not shown(f"token = '{altered}'")
        assert all("checksum is wrong" in match.reason for match in found(altered))


def test_an_age_key_with_a_wrong_checksum_is_none() -> None:
    token = _age(random.Random(3), "AGE-SECRET-KEY-")
    altered = token[:30] + ("Q" if token[30] != "Q" else "P") + token[31:]
    assert [match.level for match in found(token)] == [CERTAIN]
    assert not found(altered)


def test_an_altered_nkey_seed_is_likely_one_still() -> None:
    token = _nkey(random.Random(4), "U")
    altered = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]
    assert [match.level for match in found(token)] == [CERTAIN]
    assert [match.level for match in found(altered)] == [LIKELY]
    public = "U" + token[2:]  # the public half is no secret
    assert not found(public[:56])


def test_the_checksum_of_a_routable_gitlab_token_makes_it_certain() -> None:
    token = _gitlab(random.Random(5), "glpat-")
    assert [match.level for match in found(token)] == [CERTAIN]
    assert [match.level for match in found(token[:-1] + ("0" if token[-1] != "0" else "1"))] == [LIKELY]


def test_a_json_web_token_is_told_by_its_header() -> None:
    chance = random.Random(6)
    assert [match.level for match in found(_jwt(chance))] == [CERTAIN]
    assert "HS256" in found(_jwt(chance))[0].reason
    assert not found(_jwt(chance, header={"typ": "session"}))
    assert not found(_jwt(chance, header={"alg": "none", "typ": "JWT"}))


def test_a_json_web_token_whose_header_was_altered_is_still_likely_one() -> None:
    token = _jwt(random.Random(7))
    altered = token[:10] + "AAAA" + token[14:]
    assert [match.level for match in found(altered)] == [LIKELY]


def test_what_only_looks_encoded_is_not_found() -> None:
    """The parts that a format says are base64 of something are read."""
    chance = random.Random(22)
    drawn = {size: "".join(chance.choices(ALPHABETS["a"], k=size)) for size in (20, 23, 38, 43, 120)}
    for text in (
        f"eyJ{drawn[20]}.{drawn[43]}.{drawn[38]}",  # a header, or else claims, in JSON
        f"MT{drawn[23]}.{drawn[20][:6]}.{drawn[38]}",  # a decimal number
        f"pypi-AgE{drawn[120]}",  # a macaroon of pypi.org
        f"glc_eyJ{drawn[120]}",
        f"sntrys_eyJ{drawn[120]}_{drawn[43]}",
    ):
        assert not found(text)


def test_the_textbook_json_web_token_is_not_found() -> None:
    claims = {"sub": "1234567890", "name": "John Doe", "iat": 1516239022}
    assert not found(_jwt(random.Random(8), claims=claims))


def test_two_part_and_dotted_names_are_no_json_web_token() -> None:
    chance = random.Random(9)
    header, claims, signature = _jwt(chance).split(".")
    assert not found(f"{header}.{claims}")
    assert not found(f"{header}.{claims}.")
    assert not found(f"x{header}.{claims}.{signature}")


# Private keys

DER = {
    "RSA ": bytes.fromhex("308204a40201000282010100"), "": bytes.fromhex("308204bd020100300d06092a864886f70d01"),
    "EC ": bytes.fromhex("30770201010420"), "DSA ": bytes.fromhex("308201bb02010002818100"),
    "ENCRYPTED ": bytes.fromhex("3082050e304006092a864886f70d01050d"),
    "OPENSSH ": b"openssh-key-v1\0\0\0\0\4none\0\0\0\4none\0\0\0\0\0\0\0\1\0\0\0\x33",
}  # fmt: skip


def mark(which: str, label: str = "RSA ") -> str:
    """The line before or behind a key, made here: written out, other scanners would stumble over this file."""
    dashes = "-" * 5
    return f"{dashes}{which} {label}PRIVATE KEY{' BLOCK' if 'PGP' in label else ''}{dashes}"


def pem(
    label: str = "RSA ", size: int = 1192, *, width: int = 64, headers: str = "", seed: int = 1, line_end: str = "\n"
) -> str:
    body = base64.b64encode(DER.get(label, b"\x95") + random.Random(seed).randbytes(size - 20)).decode()
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    return line_end.join([mark("BEGIN", label), *headers.splitlines(), *lines, mark("END", label)])


def only_key(text: str) -> Match:
    (match,) = (match for match in found(text) if match.rule == "private-key")
    assert text.encode()[match.start : match.end] == match.secret
    return match


@pytest.mark.parametrize("label", [*DER, "PGP "])
@pytest.mark.parametrize(
    "line_end", ["\n", "\r\n", "\\n", "\\r\\n", "\\\\n"], ids=["lf", "crlf", "escaped", "escaped-crlf", "twice"]
)
def test_a_private_key_is_found_from_its_begin_to_its_end(label: str, line_end: str) -> None:
    key = pem(label, line_end=line_end)
    match = only_key(f"key = '{key}'\nafter")
    assert match.secret.decode() == key
    assert match.level == CERTAIN
    assert (label.strip() in match.reason) or label == "ENCRYPTED "
    assert ("encrypted" in match.reason) == (label == "ENCRYPTED ")


@pytest.mark.parametrize(
    ("before", "after"),
    [("    ", ""), ("> ", ""), ("+", ""), ('"', '\\n"'), ("  '", "' +"), ("// ", ""), ("# ", ""), (' + "', '\\n"'),
     ('b"', '\\n"'), ("\t\"", '",'), (" * ", ""), ("", "\\"), ("'", "\\n' \\")],
)  # fmt: skip
def test_a_private_key_is_found_behind_what_stands_on_every_line(before: str, after: str) -> None:
    text = "\n".join(f"{before}{line}{after}" for line in pem().splitlines())
    secret = only_key(f"x\n{text}\ny").secret.decode()
    assert secret.startswith(mark("BEGIN"))
    assert secret.endswith(mark("END"))


def test_a_private_key_inside_json_is_found_with_slashes_escaped() -> None:
    seed = next(
        seed for seed in range(999) if all("/" in line for line in pem("EC ", 121, seed=seed).splitlines()[1:3])
    )
    text = json.dumps({"type": "service_account", "private_key": pem("EC ", 121, seed=seed)}).replace("/", "\\/")
    assert only_key(text).secret.decode().count("\\n") == 4


def test_a_private_key_on_one_line_with_spaces_is_found() -> None:
    for line_end in (" ", ""):
        match = only_key(f"KEY={pem(line_end=line_end)} next")
        assert match.secret.decode() == pem(line_end=line_end)
        assert match.level == CERTAIN


def test_a_private_key_that_was_cut_off_ends_with_its_last_line() -> None:
    key = "\n".join(pem().splitlines()[:8])
    assert only_key(f"{key}\n\nreturn the key\nto me").secret.decode() == key
    assert only_key(f"{key}\n...\n").secret.decode() == key
    assert only_key(f"{key}\nif found:\n    return").secret.decode() == key


def test_a_private_key_that_lost_its_end_ends_with_its_short_last_line() -> None:
    lines = pem(size=1070).splitlines()[:-1]
    assert len(lines[-1]) < 16
    assert only_key("\n".join([*lines, "return", "value"])).secret.decode() == "\n".join(lines)
    armored = "\n".join([*pem("PGP ", size=1081).splitlines()[:-1], "=aB3d"])
    assert only_key(f"{armored}\nreturn\n").secret.decode() == armored


def test_a_few_characters_of_a_private_key_are_none() -> None:
    lines = pem().splitlines()
    assert not found("\n".join([lines[0], lines[1][:48], lines[-1]]))
    assert only_key("\n".join([lines[0], lines[1], lines[-1]]))


def test_two_private_keys_are_two_finds_even_when_the_first_is_cut_off() -> None:
    first, second = pem(seed=1), pem("EC ", 121, seed=2)
    for gap in ("\n", "\n\ntext between\n"):
        assert [match.secret.decode() for match in found(first + gap + second)] == [first, second]
    cut = "\n".join(first.splitlines()[:9])
    assert [match.secret.decode() for match in found(f"{cut}\n{second}")] == [cut, second]


def test_an_encrypted_private_key_is_found_and_told_as_such() -> None:
    headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,5F0D\n\n"
    assert only_key(pem(headers=headers)).reason.startswith("encrypted RSA private key")
    cipher = b"openssh-key-v1\0\0\0\0\x0aaes256-ctr\0\0\0\6bcrypt" + random.Random(1).randbytes(300)
    body = base64.b64encode(cipher).decode()
    ssh = "\n".join([mark("BEGIN", "OPENSSH "), *re.findall(".{1,70}", body), mark("END", "OPENSSH ")])
    assert only_key(ssh).reason.startswith("encrypted OPENSSH private key")


def test_armor_headers_and_checksum_belong_to_a_pgp_key() -> None:
    lines = pem("PGP ", headers="Version: GnuPG v2\nComment: x\n\n").splitlines()
    text = "\n".join([*lines[:-1], "=aB3d", lines[-1]])
    assert only_key(text).secret.decode() == text


def test_a_masked_private_key_that_no_longer_decodes_is_likely_one() -> None:
    chance = random.Random(2)
    lines = ["".join(chance.choices(ALPHABETS["b"], k=64)) for _ in range(20)]
    text = "\n".join([mark("BEGIN"), "Q" + lines[0][1:], *lines[1:], mark("END")])
    assert only_key(text).level == LIKELY


@pytest.mark.parametrize(
    "body",
    ["", "...", "MIIE...", "<your private key>", "key omitted for security reasons", "XXXX\nXXXX", "x" * 64 + "\n" + "x" * 64,
     "your-private-key-goes-here", "{{ private_key }}", "${PRIVATE_KEY}", "AAAA\n" * 40, "foo\nbar\nbaz\n" * 20,
     _drawn(string.ascii_lowercase, 120), _drawn(ALPHABETS["a"] + "A" * 60, 120),
     "put the whole text of your private key here and keep all of the line ends as they are in the file please"],
)  # fmt: skip
def test_a_marker_without_a_key_is_not_found(body: str) -> None:
    for line_end in ("\n", "\\n"):
        text = f"{mark('BEGIN')}\n{body}\n{mark('END')}".replace("\n", line_end)
        assert not found(text)


def test_markers_in_source_code_are_not_found() -> None:
    begin, end = mark("BEGIN", "OPENSSH "), mark("END", "OPENSSH ")
    assert not found(f'START = "{begin}"\nEND = "{end}"\n' * 50)
    assert not found(f'if text.startswith("{begin}"):\n    return decode(text)\n' + "value\n" * 100)


def test_public_keys_and_certificates_are_not_found() -> None:
    for label in ("PUBLIC KEY", "CERTIFICATE", "RSA PUBLIC KEY", "PGP PUBLIC KEY BLOCK", "PGP SIGNATURE"):
        assert not found(pem("").replace("PRIVATE KEY", label))


def putty(encryption: str = "none") -> str:
    chance = random.Random(3)
    public = base64.b64encode(b"\0\0\0\x0bssh-ed25519" + chance.randbytes(36)).decode()
    private = base64.b64encode(chance.randbytes(36)).decode()
    return "\n".join(
        ["PuTTY-User-Key-File-3: ssh-ed25519", f"Encryption: {encryption}", "Comment: key", "Public-Lines: 2",
         public[:64], public[64:] or "AAAA", "Private-Lines: 1", private, "Private-MAC: " + chance.randbytes(32).hex()]
    )  # fmt: skip


def test_a_putty_key_is_found_with_all_its_lines() -> None:
    assert only_key(f"x\n{putty()}\ny").secret.decode() == putty()
    assert only_key(putty("aes256-cbc")).reason.startswith("encrypted PuTTY")
    assert only_key(putty().replace("\n", "\\n")).secret.decode().startswith("PuTTY-User-Key-File")
    assert not found(re.sub(r"(Private-Lines: 1\n).*", r"\1xxxx", putty()))


def _member(chance: random.Random, size: int = 32) -> str:
    return base64.urlsafe_b64encode(chance.randbytes(size)).decode().rstrip("=")


@pytest.mark.parametrize("form", ["json", "escaped", "single quotes", "unquoted names", "ruby", "indented"])
@pytest.mark.parametrize("kind", ["EC", "OKP", "RSA", "oct"])
def test_the_private_member_of_a_json_web_key_is_found(kind: str, form: str) -> None:
    chance = random.Random(kind)
    secret = _member(chance, 256 if kind == "RSA" else 32)
    public = {
        "EC": {"crv": "P-256", "x": _member(chance), "y": _member(chance)},
        "RSA": {"n": _member(chance, 256), "e": "AQAB"},
    }
    key = {"kty": kind, **public.get(kind, {}), ("k" if kind == "oct" else "d"): secret, "kid": "2026-01"}
    text = json.dumps({"keys": [key]}, indent=2 if form == "indented" else None)
    if form == "escaped":
        text = json.dumps(text)
    elif form == "single quotes":
        text = text.replace('"', "'")
    elif form == "unquoted names":
        text = re.sub(r'"(\w+)":', r"\1:", text)
    elif form == "ruby":
        text = re.sub(r'"(\w+)": ?', r"'\1' => ", text).replace('"', "'")
    assert [(match.rule, match.secret.decode()) for match in found(text)] == [("jwk", secret)]


def test_a_json_web_key_at_the_start_of_a_long_text_is_found() -> None:
    secret = _member(random.Random(21))
    text = json.dumps({"kty": "oct", "k": secret}) + "\nword" * 200_000
    assert [match.secret.decode() for match in found(text)] == [secret]


def test_a_public_json_web_key_is_not_found() -> None:
    chance = random.Random(10)
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": _member(chance),
        "y": _member(chance),
        "kid": _member(chance),
        "k": _member(chance),
    }
    assert not found(json.dumps({"keys": [key]}))
    assert not found(json.dumps({"kty": "oct", "k": "X" * 43}))


# What is no secret


def test_noise_holds_no_token() -> None:
    chance = random.Random(11)
    for size in (16, 20, 32, 40, 64, 128):
        texts = [
            " ".join(chance.randbytes(size).hex() for _ in range(2000)),
            " ".join(base64.b64encode(chance.randbytes(size)).decode() for _ in range(2000)),
            "\n".join(base64.urlsafe_b64encode(chance.randbytes(size)).decode() for _ in range(2000)),
            " ".join(base64.b32encode(chance.randbytes(size)).decode() for _ in range(2000)),
            " ".join(MAKERS["uuid"](chance) for _ in range(2000)),
        ]
        for text in texts:
            assert not shown(text)
    blob = base64.b64encode(chance.randbytes(3_000_000))
    assert not shown(blob)
    assert not shown(blob.translate(bytes.maketrans(b"+/", b"-_")))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_survived_and_every_find_is_a_stretch_of_the_text(noise: bytes) -> None:
    token = _github(random.Random(1), "ghp_").encode()
    text = noise + b" " + token + b"\n" + mark("BEGIN").encode() + b"\n" + noise + b"Private-Lines: 3\n" + noise
    matches = found(text)
    assert token in {match.secret for match in matches}
    for match in matches:
        assert text[match.start : match.end] == match.secret


def test_the_standard_library_holds_no_token() -> None:
    root = Path(json.__file__).parent.parent
    folders = [
        path
        for path in root.iterdir()
        if path.is_dir() and path.name in {"asyncio", "email", "json", "http", "urllib", "ctypes"}
    ]
    sources = [*root.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    assert len(sources) > 150
    assert [path.name for path in sources if found(path.read_bytes())] == []


def test_identifiers_paths_and_hashes_are_not_found() -> None:
    chance = random.Random(12)
    digest = "".join(chance.choices("0123456789abcdef", k=40))
    for text in (
        f"commit {digest}", f"sha256:{digest}{digest[:24]}", f'"integrity": "sha512-{base64.b64encode(chance.randbytes(64)).decode()}"',
        "sk-cube-grid-animation-delay-medium", "hf_hub_download_with_progress_and_cache", "key-value-store-for-sessions-in-memory",
        f"cache-key-{digest[:32]}", "x-amz-server-side-encryption-customer-algorithm", "secret_access_key_id_of_the_account_owner_name",
        "/usr/lib/python3/dist-packages/some_package/with_long_module_name.py", "pat-na1-is-the-prefix-of-every-such-token-there",
        "AKIA_IS_THE_PREFIX_OF_KEYS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ{base64.b64encode(chance.randbytes(240)).decode()} x@y",
    ):  # fmt: skip
        assert not found(text)


# Size and speed


def test_a_token_is_found_once_wherever_the_text_is_divided() -> None:
    token = _github(random.Random(13), "ghp_").encode()
    hook = b"https://hooks.slack.com/services/" + make("T{u8}/B{u10}/{a24}", random.Random(14))[1].encode()
    for at in range(262_144 - 120, 262_144 + 20, 3):
        filler = (b"word " * 60_000)[:at]
        text = filler + b"'" + token + b"' " + hook + b" " + filler
        assert [(match.start, match.secret) for match in found(text)] == [(at + 1, token), (at + len(token) + 3, hook)]


def test_long_lines_and_hostile_repetitions_stay_fast_and_small() -> None:
    chance = random.Random(15)
    size = 1_000_000
    hostile = {
        "one base64 line": base64.b64encode(chance.randbytes(size * 3 // 4)),
        "one letter": b"A" * size,
        "a prefix again and again": b"ghp_" * (size // 40),
        "a literal again and again": b"-us" * (size // 30),
        "markers": (mark("BEGIN") + "\n").encode() * (size // 320),
        "open braces": b'{"kty":"oct" ' * (size // 30) + b' "k":"' + b"A" * 40 + b'"',
        "json web tokens": (_jwt(chance) + "\n").encode() * (size // 2000),
        "line counts": b"Private-Lines: 999\n" * (size // 190),
        "a body without an end": mark("BEGIN").encode() + b"\n" + b"\n".join([b"Ab1/" * 16] * (size // 65)),
        "words": b"SOME_LONG_CONSTANT_NAME_1, " * (size // 27),
    }
    for text in hostile.values():
        tracemalloc.start()
        before = time.process_time()
        formats.find(text, b"")
        spent = time.process_time() - before
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert spent < 5  # seconds; with the tracing of memory; a backtracking pattern takes minutes
        assert peak < 20_000_000


def test_a_key_block_is_told_before_what_stands_inside_it() -> None:
    lines = pem().splitlines()
    inside = _github(random.Random(1), "ghp_")[:64]
    token = "AKIA" + "".join(random.Random(16).choices(ALPHABETS["B"], k=16))
    text = "\n".join([*lines[:3], token, *lines[3:]])
    assert found(text)[0].rule == "private-key"
    assert rules(found(f"{inside}\n{text}")) >= {"private-key", "github-token"}


def test_a_text_without_tokens_costs_no_compiling_and_no_heavy_module() -> None:
    """A hook has a few milliseconds for all of its imports."""
    root = str(Path(formats.__file__).parents[2])
    program = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from chronos_secrets.scan import formats\n"
        "assert not formats.find(b'def name(): return LONG_NAME_OF_CONSTANT_1 + other.attribute' * 50, b'')\n"
        "assert not [rule.name for rule in formats._RULES if rule._compiled]\n"
        "heavy = {'json', 'typing', 'dataclasses', 'zlib', 'base64', 'logging', 'pathlib', 'chronos_secrets.scan.pem'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run((sys.executable, "-I", "-S", "-c", program), check=True)
