"""What a name says about the value beside it: a password, a secret, a key, or nothing of the kind.

A name is read as words (`dbPassword`, `DB_PASSWORD`, `db-password`); the last word that speaks of a secret decides,
and what follows it may take it back: a `password_url` is no password.
"""

import re

from chronos_secrets.scan.patterns import Lazy

PASSWORD, SECRET, KEY, WEAK = "password", "secret", "key", "weak"
"""`key` is a bare key, `weak` a name that may mean a secret: both ask more of the value."""
OWN, GETTER, WIDGET = "own", "getter", "widget"

MARKS = (
    Lazy(rb"k(?:ey|ennwort|(?<=tok)en|(?<=psk)|(?<=cook)ie)"),
    Lazy(rb"p(?:ass|wd|sw|w(?![a-z])|epper|arola|(?<=mdp)|(?<=app)id)"),
    Lazy(rb"c(?:re[td]|ontrase)"),
    Lazy(rb"h(?:(?<=auth)|(?<=senh)a)"),
    Lazy(rb"j(?=wt)"),
)
"""Lower-case stretches, one of which every name that speaks of a secret holds: password, pwd, secret, token, key, auth,
credential, … Each pattern is of words with one rare letter in common and begins with it: `re` then looks for that byte
with memchr, and four such passes cost a third of fifteen `bytes.find`.
"""

_WORD = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_PASSWORDS = frozenset(
    b"password passwords passwd passwds pwd pwds pass passphrase passwort kennwort psw pswd pword passcode pw psk "
    b"userpass dbpass mypass adminpass rootpass dbpassword dbpasswd dbpwd userpassword userpwd adminpassword "
    b"adminpwd rootpassword mypassword newpassword oldpassword keypass storepass keypassword storepassword "
    b"requirepass masterauth ansiblebecomepass sshpass mysqlpassword mysqlpwd pgpassword pgpass ftppass "
    b"ftppassword smtppass smtppassword mailpassword mailpass redispassword emailpassword loginpassword senha "
    b"contrasena contrasenia mdp motdepasse passwrd passw paswd pasword sapassword proxypassword bindpw rootpw "
    b"bindpassword keystorepassword truststorepassword wpapsk httppassword authpassword authpass basicauthpassword "
    b"sudopass userpasswd parola".split()
)
_SECRETS = frozenset(
    b"secret secrets token tokens credential credentials cred creds apikey apikeys authorization bearer jwt "
    b"apitoken authtoken accesstoken refreshtoken secretkey privatekey accesskey authkey clientsecret appsecret "
    b"apisecret consumersecret consumerkey appkey encryptionkey signingkey masterkey sharedkey secretaccesskey "
    b"servicekey licensekey sessionkey sessionsecret jwtsecret webhooksecret usertoken bottoken accountkey "
    b"storagekey idtoken oauthtoken authcode apipassword sharedsecret signingsecret securetoken aeskey hmackey "
    b"cryptokey secretkeybase accesskeysecret secretid sastoken sassignature bearertoken devicetoken apisecretkey "
    b"serverkey subscriptionkey mastertoken deploykey cookiesecret tokensecret pepper".split()
)
_KEY_OF = frozenset(
    b"api access secret private encryption encrypt encrypted decryption decrypt signing sign signature auth "
    b"authentication authorization master shared license app application client consumer aes hmac des rsa crypto "
    b"cipher session storage account server service admin deploy webhook subscription symmetric developer dev user "
    b"root host mac salt jwt token maps write read sas data site integration security partner merchant gateway "
    b"network wep wpa tsig rndc trial product secure validation machine activation serial stream push fcm gcm "
    b"google aws azure stripe twilio sendgrid mailgun instrumentation ingest license2 x functions function".split()
)
_NOT_KEY_OF = frozenset(
    b"public primary foreign cache sort partition hash registry object map dict i18n translation gpg pgp routing "
    b"resource tenant row column index lookup record config shortcut".split()
)
# Words that may follow the one that speaks of a secret, without changing what it says.
_STILL = frozenset(
    b"old new current previous prod production dev development test testing stage staging local default value val "
    b"str string text txt plain plaintext raw base base64 b64 hex bytes confirm confirmation confirmed again "
    b"repeat repeated repeat2 verify retype retyped clear cleartext literal live sandbox real master slave primary "
    b"secondary main my db a b c x y one two first second for of the to encoded cmd arg attr opt env secret key "
    b"keys token pass word phrase data alice bob joe user admin root good ok right correct original orig wrong bad "
    b"invalid short long strong weak github gitlab google aws azure slack stripe twitter facebook sendgrid mailgun "
    b"twilio npm docker ssh ftp smtp mail mysql postgres postgresql redis mongo mongodb ldap jira api hmac aes rsa "
    b"md5 mac".split()
)
_BEFORE_NO = frozenset(
    b"forgot forgotten reset change invalid incorrect missing require requires required no without show hide "
    b"toggle enter choose is has have need needs check validate lost recover hashed hash encrypted enc crypted "
    b"crypt get public lock idempotency idempotent starting next page pagination continuation backward forward "
    b"cursor paging csrf xsrf authenticity antiforgery nopasswd sync continue".split()
)
_OTHER_KEY = frozenset(
    b"hot short arrow shift alt ctrl control enter escape esc tab up down left right key function fn modifier".split()
)


_WIDGETS = frozenset(b"field input box textbox textfield element el elem locator edit txt".split())

_GETTERS = (b"get", b"check", b"verify", b"validate", b"compare")

_seen: dict[bytes, tuple[str | None, str]] = {}
_MOST_SEEN = 5000


def kind(name: bytes) -> str | None:
    """PASSWORD, SECRET, KEY or WEAK; None for a name that speaks of no secret."""
    found, how = role(name)
    return found if how == OWN else None


def role(name: bytes) -> tuple[str | None, str]:
    """What the name speaks of, and how: (kind, OWN) for a secret's own name, (kind, GETTER) for `getPassword` and
    `check_password`, (kind, WIDGET) for `passwordField`, into which one is typed, (None, "") for all others.
    """
    try:
        return _seen[name]
    except KeyError:
        if len(_seen) > _MOST_SEEN:
            _seen.clear()
        _seen[name] = found = _role(name)
        return found


def _role(name: bytes) -> tuple[str | None, str]:
    found = _kind(name)
    if found not in (None, KEY):
        return found, OWN
    if typed := _kind_of_widget(name):
        return typed, WIDGET
    if got := found or _kind_of_getter(name):
        return got, OWN if found else GETTER
    return None, ""


def _kind_of_getter(name: bytes) -> str | None:
    last = name.rpartition(b".")[2].rpartition(b">")[2]
    verb = next((verb for verb in _GETTERS if last.startswith(verb)), None)
    return _kind(last[len(verb) :].lstrip(b"_")) if verb else None


def _kind_of_widget(name: bytes) -> str | None:
    for part in name.split(b"."):
        words = _WORD.findall(part)
        if len(words) > 1 and words[-1].lower() in _WIDGETS:
            return _kind(part[: part.rindex(words[-1])].rstrip(b"_-"))
    return None


def is_plain(name: bytes) -> bool:
    """Whether the name is one of the words themselves, as in `password("…")`."""
    return name.lower().replace(b"_", b"") in _PASSWORDS | _SECRETS


def _kind(name: bytes) -> str | None:
    last = name.rpartition(b".")[2]
    return _of_words(last) or (_of_words(name) if last != name else None)


def _of_words(name: bytes) -> str | None:
    words = [word.lower() for word in _WORD.findall(name)]
    for index in range(len(words) - 1, -1, -1):
        found = _of_word(words, index)
        if found and not words[index].startswith((b"csrf", b"xsrf")):
            return _with_rest(found, words, index)
    return None


def _of_word(words: list[bytes], index: int) -> str | None:
    word, before = words[index], words[index - 1] if index else b""
    if word in _PASSWORDS or word.endswith((b"password", b"passwd", b"passphrase")):
        return None if word == b"nopasswd" else PASSWORD
    if word in (b"word", b"phrase") and before == b"pass":
        return PASSWORD
    if word in _SECRETS or word.endswith((b"secret", b"apikey", b"token", b"secretkey")):
        return SECRET
    if word == b"auth" and index == len(words) - 1:
        return WEAK
    if word in (b"key", b"keys"):
        return _of_key(words, index)
    return None


def _of_key(words: list[bytes], index: int) -> str | None:
    before = words[index - 1] if index else b""
    if before in _NOT_KEY_OF or before in _OTHER_KEY:
        return None
    return SECRET if before in _KEY_OF else KEY


def _with_rest(found: str, words: list[bytes], index: int) -> str | None:
    """What the words around leave of it."""
    rest = words[index + 1 :]
    if any(word in _BEFORE_NO for word in words[:index]):
        return None
    if all(word in _STILL or word.isdigit() for word in rest):
        return found
    return None
