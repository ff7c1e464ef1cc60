"""Secrets that their place gives away, and what only looks like one. Values are made when the tests run."""

import base64
import random
import re
import string
import time
from pathlib import Path

import pytest

from chronos_secrets.scan import assignments, names, values, words
from chronos_secrets.scan.engine import Scanner
from chronos_secrets.scan.found import LIKELY

_CHANCE = random.Random(20260101)


def _random(alphabet: str, length: int) -> str:
    return "".join(_CHANCE.choices(alphabet, k=length))


LOWER = "qzkxvw" + _random(string.ascii_lowercase, 4)
MIXED = "Zq7x" + _random(string.ascii_letters + string.digits, 28)

PLACES = {
    "a.py": [
        'password = "{}"', "connect(host, password='{}')", 'if password == "{}":', "{{'db_password': '{}'}}", 'PASSWORD: str = "{}"',
        'auth=("joe", "{}")', 'session.login(user, "{}")', 'DSN = "host=db user=joe password={} port=1"',
    ],
    "A.java": [
        'String dbPassword = "{}";', 'ds.setPassword("{}");', 'props.put("password", "{}");', 'assertEquals("{}", user.getPassword());',
        'DriverManager.getConnection("jdbc:x://h/d", "joe", "{}");',
    ],
    "a.js": ["const password = '{}';", "{{ user: 'joe', password: '{}' }}", "page.type('#password', '{}')", "`postgres://joe:{}@db/x`"],
    "a.go": ['password := "{}"', 'Config{{Password: "{}"}}', 'req.SetBasicAuth("joe", "{}")'],
    "a.c": ['char password[] = "{}";', '#define WIFI_PASSWORD "{}"', 'if (strcmp(password, "{}") == 0)'],
    "a.php": ["define('DB_PASSWORD', '{}');", "$pass = '{}';", "new PDO('mysql:host=h', 'joe', '{}')", "'password' => '{}',"],
    "a.yml": ["password: {}", "  db_password: '{}'", "  - name: DB_PASSWORD\n    value: {}", "  POSTGRES_PASSWORD: \"{}\""],
    ".env": ["DB_PASSWORD={}", "export DB_PASSWORD='{}'", 'DB_PASSWORD="${{DB_PASSWORD:-{}}}"'],
    "a.xml": ["<password>{}</password>", '<property name="password" value="{}"/>', '<user name="joe" password="{}"/>'],
    "a.plist": ["<key>password</key>\n<string>{}</string>"],
    "a.properties": ["spring.datasource.password={}", "url=jdbc:mysql://h/d?user=joe&password={}"],
    "a.ini": ["password = {}", "dsn = Server=h;Uid=joe;Pwd={};"],
    "a.sql": ["CREATE USER joe IDENTIFIED BY '{}';", "INSERT INTO users (name, password) VALUES ('joe', '{}');", "ALTER ROLE joe PASSWORD '{}';"],
    "a.sh": [
        "mysql -u joe -p{} shop", "sshpass -p '{}' ssh joe@h", "curl -u joe:{} https://h/", "PGPASSWORD={} psql", "echo 'root:{}' | chpasswd",
        "docker login -u joe -p {} h", "tool --password {} --quiet", "redis-cli -a {} ping",
    ],
    "a.md": ["curl -H 'Authorization: Bearer {}' https://h/", "    password: {}"],
    "Dockerfile": ["ENV DB_PASSWORD {}", "ENV DB_PASSWORD={}"],
}  # fmt: skip


@pytest.mark.parametrize(("path", "number"), [(path, index) for path in PLACES for index in range(len(PLACES[path]))])
def test_a_generated_value_is_found_where_secrets_are_written(path, number):
    for secret in (MIXED, LOWER):
        if secret is LOWER and "Bearer" in PLACES[path][number]:
            continue  # a token is longer
        text = PLACES[path][number].format(secret).encode()
        found = [match for match in Scanner().matches(text, path.encode()) if match.level == LIKELY]
        assert [text[match.start : match.end] for match in found] == [secret.encode()]


NEARBY = {
    "a.py": [
        'os.environ.get("DB_PASSWORD") or "{}"', 'add("--password", type=str, default="{}")', "def password():\n    return '{}'",
        'credentials = ("joe", "{}")', 'PASSWORDS = ["a", "{}"]', 'field.password_field.send_keys("{}")', '# password: {}',
        'run(["tool", "--password", "{}"])',
    ],
    "a.js": ["const secret = process.env.JWT_SECRET || '{}';", "fireEvent.change(passwordInput, {{ target: {{ value: '{}' }} }})"],
    "A.java": [
        'public String getPassword() {{\n    return "{}";\n}}', '@Value("${{jwt.secret:{}}}")', 'when(user.getPassword()).thenReturn("{}");',
        '.password("{{noop}}{}")', 'new User("joe", "{}")',
    ],
    "a.cs": ['public string Password {{ get; set; }} = "{}";', 'var p = Environment.GetEnvironmentVariable("PASSWORD") ?? "{}";'],
    "a.go": ['sql.Open("mysql", "root:{}@tcp(db:3306)/x")'],
    "a.ps1": ['$p = ConvertTo-SecureString "{}" -AsPlainText -Force'],
    "a.yml": ["passwords:\n  - {}", "- {{ name: joe, password: {} }}", 'args: ["--password", "{}"]'],
    "a.conf": ["requirepass {}", "  authentication-password {}"],
    "a.md": ["- **Password**: `{}`", "the password is `{}`"],
    "a.csv": ["name,password\njoe,{}", "id;user;password;mail\n1;joe;{};x@y"],
    "a.xml": ["<name>password</name>\n<value>{}</value>"],
    "a.sh": ["sudo -S ls <<< '{}'", "htpasswd -bc users joe {}", "rabbitmqctl add_user joe {}", "lftp -u joe,{} ftp://h"],
    "a.bat": ["net user joe {} /add"],
    ".netrc": ["machine h login joe password {}"],
    ".pgpass": ["localhost:5432:db:joe:{}"],
    "a.http": ["Cookie: JSESSIONID={}"],
}  # fmt: skip


@pytest.mark.parametrize(("path", "number"), [(path, index) for path in NEARBY for index in range(len(NEARBY[path]))])
def test_a_clearly_generated_value_is_found_near_a_word_for_a_secret(path, number):
    text = NEARBY[path][number].format(MIXED).encode()
    found = [match for match in Scanner().matches(text, path.encode()) if match.level == LIKELY]
    assert [text[match.start : match.end] for match in found] == [MIXED.encode()]


FAR = {
    "a.py": [
        '{{"password": "x", "id": "{}"}}', 'password(x); name = "{}"', 'token["{}"]', 'passwords = {{"{}": 1}}', 'key = "{}"[:3]',
        'client_get(client, token, "api/v1/models/")', '("auth", "0006_group_enforced_2fa")', 'decode(password, "utf-16-le")',
        'password_re = "^[a-zA-Z0-9]{{8,}}$"', 'get_translation("password", "Passwort")', 'password = Q("dp2keypass")',
    ],
    "a.rst": ["the file is identified by uuid", "passing pygit2 is new in 2014.7.0", "sudo: NOPASSWD: SMARTCTL"],
    "locale/de.js": ['password: "Kqzvwxyj"'],
    "a.yml": ["password: '{{$ZABBIX.PASSWORD}}'", "GPG_KEY: B42F6819007F00F88E364FD4036A9C25BF357DD4", "key: vmware.hv.cpu.usage[{{#URL}}]"],
    "a.pl": ["use Role::Basic qw/with/;"],
}  # fmt: skip


@pytest.mark.parametrize(("path", "number"), [(path, index) for path in FAR for index in range(len(FAR[path]))])
def test_what_is_given_to_another_name_or_is_no_secret_is_not_found_nearby(path, number):
    text = FAR[path][number].format("Zq7x" + MIXED[:6]).encode()
    assert [match for match in assignments.find(text, path.encode()) if match.level == LIKELY] == []


HARMLESS = {
    "a.py": [
        'password = "password"', "password = os.environ['DB_PASSWORD']", "password = getpass.getpass()", 'password = ""', "password = None",
        'password = "your-password-here"', 'password = "<password>"', 'password = "{password}"', 'password = "%s" % password',
        'password_hash = "$2b$12$" + x', 'PASSWORD_RESET_URL = "/accounts/reset"', 'token_type = "bearer"', 'key = "name"',
        'raise ValueError("password: must not be empty")', 'parser.add_argument("--password", help="The password.")',
    ],
    "A.java": [
        "String password = request.getParameter(name);", 'String KEY_PASSWORD = "spring.datasource.password";',
        "user.setPassword(encoder.encode(user.getPassword()));", 'logger.info("password=" + password);',
    ],
    "a.js": ["password: yup.string().required()", "const { password } = req.body", "apiKey: process.env.API_KEY,", "'password': 'Passwort'"],
    "a.yml": ["password: ${DB_PASSWORD}", "password: !vault |", "secretName: db-credentials", "password: {{ vault_password }}", "key: value"],
    ".env": ["DB_PASSWORD=", "DB_PASSWORD=changeme", "DB_PASSWORD=$OTHER", "API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx"],
    "a.xml": ["<password>${db.password}</password>", '<input type="password" name="password" placeholder="Password"/>'],
    "a.sh": ["mysql -u root -p shop", 'curl -u "$USER:$TOKEN" https://h/', "read -s PASSWORD", "git pull --rebase"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "number"), [(path, index) for path in HARMLESS for index in range(len(HARMLESS[path]))]
)
def test_what_only_stands_where_a_secret_could_is_not_reported(path, number):
    text = HARMLESS[path][number].encode()
    assert [match for match in assignments.find(text, path.encode()) if match.level == LIKELY] == []


@pytest.mark.parametrize(
    "name",
    ["password", "dbPassword", "DB_PASSWORD", "db-passwd", "spring.datasource.password", "admin_pwd", "rootPass", "passphrase", "newPassword1"],
)  # fmt: skip
def test_these_names_speak_of_a_password(name):
    assert names.kind(name.encode()) == names.PASSWORD


@pytest.mark.parametrize(
    "name",
    ["password_hash", "passwordField", "forgotPassword", "password_reset_url", "PASSWORD_MIN_LENGTH", "tokenType", "primary_key", "publicKey",
     "hotKey", "nextToken", "author", "monkey", "compass", "csrf_token", "bypass", "tokenizer"],
)  # fmt: skip
def test_these_names_speak_of_no_secret(name):
    assert names.kind(name.encode()) is None


@pytest.mark.parametrize(
    "name",
    ["api_key", "clientSecret", "AWS_SECRET_ACCESS_KEY", "authToken", "X-Auth-Token", "jwtSecret", "encryptionKey"],
)
def test_these_names_speak_of_a_secret(name):
    assert names.kind(name.encode()) == names.SECRET


def test_lock_files_have_no_assignments():
    line = f'password = "{MIXED}"'.encode()
    assert assignments.find(line, b"poetry.lock") == []
    assert assignments.find(line, b"lock.py")


def test_a_programming_language_needs_quotes_and_a_configuration_file_does_not():
    line = f"password = {LOWER}".encode()
    assert assignments.find(line, b"a.py") == []
    assert assignments.find(line, b"a.ini")


def test_a_pure_word_is_told_only_to_whoever_is_paranoid():
    (found,) = assignments.find(b'password = "butterfly"', b"a.py") or [None]
    assert found is None or found.level != LIKELY


def test_random_values_cost_less_as_random_and_words_less_as_words():
    chance = random.Random(7)
    generated = ["".join(chance.choices(string.ascii_lowercase, k=9)).encode() for _ in range(500)]
    identifiers = re.findall(rb"\b[a-z_]{6,20}\b", Path(re.__file__).read_bytes())
    assert sum(words.randomness(value) > 1.5 for value in generated) > 0.95 * len(generated)
    assert sum(words.randomness(value) > 1.5 for value in identifiers) < 0.05 * len(identifiers)


def test_no_reason_repeats_the_value():
    for path, lines in PLACES.items():
        for line in lines:
            for match in assignments.find(line.format(MIXED).encode(), path.encode()):
                assert MIXED not in match.reason
                assert MIXED not in repr(match)


@pytest.mark.parametrize("length", [10_000, 10_000_000])
def test_a_line_without_an_end_takes_no_longer_than_others(length):
    text = b'x="password' + b"a" * length + b'" password="' + b"b c" * (length // 3)
    assert assignments.find(text, b"a.js") == []


@pytest.mark.parametrize(
    ("path", "stretch"),
    [("a.yml", b"password="), ("a.csv", b"password="), ("a.py", b'password="'), ("a.py", b"getConnection("), (".netrc", b"password "),
     ("a.sql", b"insert into x(password) values "), ("a.sh", b" -p"), ("a.js", b'{"token": "a", '), ("a.py", b'"abcd",x.getPassword()'),
     ("a.py", b"password"), ("a.py", b"'password',"), ("a.py", b"password["), ("a.py", b"password: a "), ("a.py", b"\\"), ("a.py", b"  "),
     ("a.py", b"cookie: a="), ("a.py", b"://a:b"), ("a.yml", b"a:b@tcp("), ("a.yml", b"password:\n  - "), ("a.sh", b"echo a | "),
     ("a.xml", b"</password> "), ("a.xml", b'name="password" '), ("a.sql", b"identified by "), ("a.sh", b"sudo -S <<<")],
)  # fmt: skip
def test_the_time_grows_with_the_text_and_not_with_its_square(path, stretch):
    def spent(count: int) -> float:
        text, begin = stretch * count, time.process_time()
        assignments.find(text, path.encode())
        return time.process_time() - begin

    least = min(spent(4000) for _ in range(3))
    assert any(spent(32_000) < 8 * 4 * least + 0.2 for _ in range(3))  # the square would be 64 times as much


_HEX = _random("0123456789abcdef", 40)
_UUID = "-".join(_random("0123456789abcdef", length) for length in (8, 4, 4, 4, 12))
NOT_LIKELY = {
    "a type of a namespace": ("a.json", f'"AWS::IAM::AccessKey": "{_HEX}"'),
    "a digest beside a password": ("a.json", f'"password": "{_HEX}"'),
    "an identifier beside a token": ("a.json", f'"requestToken": "{_UUID}"'),
    "a user that is the password, in a header": (
        "a.http",
        f"Authorization: Basic {base64.b64encode(b'kqzvwxbj:kqzvwxbj').decode()}",
    ),
    "a value that says it is an example": ("a.py", f'secret = "{MIXED[:12]}EXAMPLE{MIXED[12:]}"'),
    "a user that is the password": ("a.txt", "https://kqzvwx:kqzvwx@example.org/"),
    "a port and a host": ("a.txt", "see https://example.org:8734651@2"),
    "a cookie against forgery": ("a.http", f"Cookie: csrf_session={MIXED}"),
}


@pytest.mark.parametrize("what", NOT_LIKELY)
def test_a_generated_value_may_be_something_else(what):
    path, line = NOT_LIKELY[what]
    assert Scanner().matches(line.encode(), path.encode()) == []


def test_in_a_minified_line_what_is_near_a_name_means_nothing():
    line = f'password=process.env.PASSWORD||"{MIXED}"'
    assert Scanner().matches(line.encode(), b"a.js")
    assert Scanner().matches(("x;" * 600 + line + ";x" * 600).encode(), b"a.js") == []


def test_strength_needs_a_least_length_by_kind():
    assert values.strength(b"x7q", names.PASSWORD, quoted=True, name=b"p") == 0
    assert values.strength(MIXED[:6].encode(), names.SECRET, quoted=True, name=b"s") == 0
