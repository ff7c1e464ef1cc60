"""What each dialect writes, refuses and says of it. That programs read it back is proved in tests/contract."""

import secrets

import pytest

from chronos_secrets.render.dialects import DIALECTS, Misplaced, Piece, Unholdable, logical_lines

ASSIGNING = ("dotenv", "sh", "systemd", "compose", "python", "node")


def line(dialect: str, *parts: str | tuple[str]) -> str:
    """The written line; a text in a tuple is a value, called db.password."""
    return DIALECTS[dialect].write(
        [Piece(part) if isinstance(part, str) else Piece(*part, "db.password") for part in parts]
    )


def refused(dialect: str, *parts: str | tuple[str]) -> Unholdable | None:
    try:
        line(dialect, *parts)
    except Unholdable as error:
        return error
    return None


def refusal(dialect: str, *parts: str | tuple[str]) -> Unholdable:
    error = refused(dialect, *parts)
    assert error is not None, "the value was written"
    return error


# --- every dialect ----------------------------------------------------------------------------------------------------

STARTS = dict.fromkeys(ASSIGNING, "KEY=") | {"pgbackrest": "key=", "pgpass": "h:1:d:u:", "ssh-config": "User "}


def test_the_table_lists_every_format_of_a_template() -> None:
    assert list(DIALECTS) == [*ASSIGNING, "pgbackrest", "pgpass", "ssh-config"]
    assert all(dialect.name == name and dialect.readers for name, dialect in DIALECTS.items())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("character", ["\0", chr(0xD800), chr(0xDFFF)], ids=["NUL", "high surrogate", "low surrogate"])
def test_no_dialect_holds_what_no_text_file_can(dialect: str, character: str) -> None:
    assert refusal(dialect, STARTS[dialect], (f"a{character}b",)).labels == ("db.password",)
    with pytest.raises(Misplaced):
        line(dialect, f"# a{character}b")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("bad", ["\0", "\r", "\n", "${x}'\"`", "$(x)", "'$", "\\\\", " ", '"\\', "#"], ids=repr)
def test_a_refusal_names_the_value_and_never_shows_it(dialect: str, bad: str) -> None:
    secret = secrets.token_hex(16)
    error = refused(dialect, STARTS[dialect], (f"{secret}{bad}",))
    if error is not None:
        assert error.labels == ("db.password",)
        assert secret not in f"{error!r} {error.way_out} {error.__context__!r} {error.__cause__!r}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_blank_and_comment_lines_pass(dialect: str) -> None:
    assert line(dialect, "") == ""
    assert line(dialect, " \t") == ""
    assert line(dialect, '# it\'s "a" ${comment}') == '# it\'s "a" ${comment}'


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("start", ["# ", "  #", "# KEY="])
def test_a_comment_may_not_hold_a_value(dialect: str, start: str) -> None:
    with pytest.raises(Misplaced, match="comment"):
        line(dialect, start, ("x",))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_value_that_looks_like_a_comment_or_a_blank_is_no_line_of_its_own(dialect: str) -> None:
    for value in ("# x", "", " "):
        with pytest.raises((Misplaced, Unholdable)):
            line(dialect, (value,))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_plain_var_cannot_add_a_line_to_a_comment(dialect: str) -> None:
    with pytest.raises(Misplaced, match="line break"):
        line(dialect, "# made for ", "me\nKEY=evil")


@pytest.mark.parametrize("dialect", [*ASSIGNING, "pgbackrest"])
def test_a_value_stands_right_of_the_equals_sign_only(dialect: str) -> None:
    for parts in ([("KEY",), "=x"], ["KEY", ("x",), "=y"], [("KEY=x",)]):
        with pytest.raises(Misplaced):
            line(dialect, *parts)
    with pytest.raises(Misplaced, match="a value may only stand right of the ="):
        line(dialect, "KEY", ("x",), "=y")
    with pytest.raises(Misplaced, match="no = on this line"):
        line(dialect, "KEY ", ("x",))
    with pytest.raises(Misplaced, match="no = on this line"):
        line(dialect, "KEY")


@pytest.mark.parametrize("dialect", [*ASSIGNING, "pgbackrest"])
@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_the_author_does_not_quote(dialect: str, quote: str) -> None:
    for parts in ([f"KEY={quote}", ("x",), quote], [f"KEY= {quote}x{quote} "], [f"KEY={quote}a", ("x",), f"b{quote}"]):
        with pytest.raises(Misplaced, match="do not quote the value"):
            line(dialect, *parts)
    assert line(dialect, "KEY=", (f"{quote}x{quote}",))


# --- KEY=value --------------------------------------------------------------------------------------------------------


def test_the_whole_right_hand_side_is_quoted_once() -> None:
    assert line("dotenv", "URL=postgres://u:", ("p w",), "@h/d?x=1") == "URL='postgres://u:p w@h/d?x=1'"


def test_outer_white_space_is_dropped_from_the_template_and_kept_in_values() -> None:
    assert line("dotenv", "KEY= \t", (" a ",), "  ") == "KEY=' a '"
    assert line("dotenv", "KEY=  a b  ") == "KEY='a b'"
    assert line("dotenv", "KEY= ", ("",), " a ") == "KEY=' a'"


@pytest.mark.parametrize("dialect", ASSIGNING)
def test_an_empty_value_is_a_pair_of_quotes(dialect: str) -> None:
    assert line(dialect, "KEY=", ("",)) in ("KEY=''", 'KEY=""')
    assert line(dialect, "KEY=") == line(dialect, "KEY=", ("",))


@pytest.mark.parametrize(
    ("dialect", "value", "written"),
    [
        ("dotenv", 'a"$b`\\c', "'a\"$b`\\c'"),
        ("dotenv", "it's", '"it\'s"'),
        ("dotenv", "a\nb", "'a\nb'"),
        ("sh", "it's\r${x}$(id)\\", "'it'\\''s\r${x}$(id)\\'"),
        ("systemd", "a\"b$c`d\\e'f\r\n", '"a\\"b\\$c\\`d\\\\e\'f\r\n"'),
        ("compose", "a\"b$c`d\\e'f\r\n", '"a\\"b\\$c`d\\\\e\'f\\r\\n"'),
        ("compose", "a\\nb", '"a\\\\nb"'),
        ("compose", "${x}$$", '"\\${x}\\$\\$"'),
        ("python", "a\"b$c`d\\e'f\r\n", '"a\\"b$c`d\\\\e\'f\\r\n"'),
        ("node", "it's", "`it's`"),
        ("node", "it's `so`", '"it\'s `so`"'),
        ("node", "\\${x}\\\\", "'\\${x}\\\\'"),
    ],
)
def test_each_dialect_quotes_in_its_own_way(dialect: str, value: str, written: str) -> None:
    assert line(dialect, "KEY=", (value,)) == f"KEY={written}"


@pytest.mark.parametrize(
    ("dialect", "value", "reason"),
    [
        ("dotenv", "a\rb", "it contains a carriage return"),
        ("dotenv", "a$(id)", "it contains $(, which dotenv-expand would run as a command"),
        ("dotenv", "a${b}", "it contains ${, which python-dotenv would replace"),
        ("dotenv", "a\\", "it ends with a backslash or contains two in a row"),
        ("dotenv", "a\\\\b", "it ends with a backslash or contains two in a row"),
        ("dotenv", "'\"", "it contains a single quote together with a double quote, $, ` or backslash"),
        ("dotenv", "'$", "it contains a single quote together with a double quote, $, ` or backslash"),
        ("dotenv", "'`", "it contains a single quote together with a double quote, $, ` or backslash"),
        ("dotenv", "'\\x", "it contains a single quote together with a double quote, $, ` or backslash"),
        ("dotenv", "\ufdd0", "it contains a code point that Unicode sets apart (such as U+FFFE)"),
        ("systemd", "\U0010ffff", "it contains a code point that Unicode sets apart (such as U+FFFE)"),
        ("python", "a${b", "it contains ${, which python-dotenv would replace"),
        ("node", "a\r", "it contains a carriage return"),
        ("node", "a$(id)", "it contains $(, which dotenv-expand would run as a command"),
        ("node", "'\"`", "it contains too many kinds of quotes for node, which has no escape"),
        ("node", "'`\\n", "it contains too many kinds of quotes for node, which has no escape"),
        ("node", "'`\\r", "it contains too many kinds of quotes for node, which has no escape"),
    ],
)
def test_what_a_dialect_cannot_hold_is_refused_with_its_reason(dialect: str, value: str, reason: str) -> None:
    error = refusal(dialect, "KEY=", (value,))
    assert str(error) == reason
    assert error.way_out is not None
    assert "b64encode" in error.way_out


@pytest.mark.parametrize(
    ("value", "dialects"),
    [
        ("a\r", "sh, systemd, compose, python"),
        ("${x}", "sh, systemd, compose, node"),
        ("'\"`\ufdd0$(", "sh, compose, python"),
    ],
)
def test_the_way_out_of_dotenv_names_the_dialects_that_can_hold_the_value(value: str, dialects: str) -> None:
    assert f"({dialects})" in str(refusal("dotenv", "KEY=", (value,)).way_out)


def test_two_pieces_that_make_a_command_together_are_refused_by_both_names() -> None:
    with pytest.raises(Unholdable) as caught:
        DIALECTS["dotenv"].write([Piece("KEY="), Piece("$", "a.token"), Piece("(id)", "b.token")])
    assert caught.value.labels == ("a.token", "b.token")


def test_the_templates_own_text_that_cannot_be_held_is_the_templates_fault() -> None:
    with pytest.raises(Misplaced, match=r"cannot be written: it contains \$\{"):
        line("dotenv", "KEY=${HOME}/x")


@pytest.mark.parametrize("dialect", ASSIGNING)
@pytest.mark.parametrize("start", ["1KEY", "KEY-A", "KEY ", " KEY", "É", "", "A.B", "KEY\n"])
def test_a_name_is_a_plain_identifier_at_the_start_of_the_line(dialect: str, start: str) -> None:
    with pytest.raises(Misplaced):
        line(dialect, f"{start}=", ("x",))


def test_export_is_for_shells_only() -> None:
    assert line("sh", "export KEY=", ("x",)) == "export KEY='x'"
    assert DIALECTS["sh"].key("export KEY='x'") == "KEY"
    for dialect in ASSIGNING:
        if dialect != "sh":
            with pytest.raises(Misplaced, match="dotenv lines take no export"):
                line(dialect, "export KEY=", ("x",))


def test_a_comment_that_would_swallow_the_next_key_is_mended_or_refused() -> None:
    assert line("dotenv", "  # indented") == "# indented"  # node joins it with the key behind it
    with pytest.raises(Misplaced, match="backslash"):  # systemd before 254 does
        line("dotenv", "# C:\\")


def test_the_key_of_a_line_is_its_name() -> None:
    key = DIALECTS["dotenv"].key
    assert [key(text) for text in ("A_1='x'", "A=", "", "# A=b", "A", "1A=b")] == ["A_1", "A", None, None, None, None]


def test_the_last_line_of_a_key_in_base64_does_not_pass_for_a_name() -> None:
    rendered = line("dotenv", "PEM=", ("-----BEGIN X-----\nMIIBabc=\n-----END X-----\n",)) + "\nNEXT='1'\n"
    assert [DIALECTS["dotenv"].key(text) for text in logical_lines(DIALECTS["dotenv"], rendered)] == ["PEM", "NEXT"]


def test_logical_lines_end_at_newlines_and_nowhere_else() -> None:
    for dialect in DIALECTS.values():
        assert list(logical_lines(dialect, "")) == []
        assert list(logical_lines(dialect, "# it's\n\na=\u2028b\x0c\n\n")) == ["# it's", "", "a=\u2028b\x0c", ""]
        assert list(logical_lines(dialect, "a=b\nc=d")) == ["a=b", "c=d"]


# --- pgbackrest.conf --------------------------------------------------------------------------------------------------


def test_pgbackrest_gets_the_value_as_it_is() -> None:
    assert line("pgbackrest", " repo1-s3-key = ", ("a'b\"#;=[\\",), " ") == "repo1-s3-key=a'b\"#;=[\\"
    assert line("pgbackrest", "[global:backup]") == "[global:backup]"
    assert line("pgbackrest", "[", "chronos", "]") == "[chronos]"


@pytest.mark.parametrize("value", [" a", "a ", "\ta", "a\t", "\ra", "a\r", "a\nb", "", " ", "\t\r"], ids=ascii)
def test_pgbackrest_would_change_it_so_it_is_refused(value: str) -> None:
    error = refusal("pgbackrest", "repo1-cipher-pass=", (value,))
    assert "b64encode" not in str(error.way_out)  # pgBackRest decodes nothing


def test_pgbackrest_keeps_white_space_that_is_not_at_the_edge_of_the_line() -> None:
    assert line("pgbackrest", "key=a ", (" b ",), " c") == "key=a  b  c"
    assert str(refusal("pgbackrest", "key=a", (" ",), "  ")).startswith("it begins or ends with a space")


def test_pgbackrest_reads_lines_of_64_kib() -> None:
    assert line("pgbackrest", "key=", ("k" * (65_534 - 4),))
    for value in ("k" * (65_535 - 4), "é" * 32_766):
        assert "64 KiB" in str(refusal("pgbackrest", "key=", (value,)))


@pytest.mark.parametrize(
    "text", ["; comment", "  ;x=y", "[global", "no option", "key", "=x", "a b=c", "\ufeffkey=x", "[a]\nkey=x", "key="]
)
def test_a_line_that_pgbackrest_would_misread_is_the_templates_fault(text: str) -> None:
    with pytest.raises(Misplaced):
        line("pgbackrest", text)


def test_a_section_may_not_hold_a_value() -> None:
    for parts in (["[", ("x",), "]"], ["[a]", ("x",)]):
        with pytest.raises(Misplaced, match="a section line may not hold a value"):
            line("pgbackrest", *parts)


def test_a_semicolon_comment_is_told_how_to_become_one() -> None:
    with pytest.raises(Misplaced, match="begin the line with #"):
        line("pgbackrest", "; repo1-path=/x")


def test_the_key_of_a_pgbackrest_line_is_its_option() -> None:
    key = DIALECTS["pgbackrest"].key
    assert [key(text) for text in ("pg1-path=/x=y", "[a=b]", "# a=b", "", "x")] == ["pg1-path", None, None, None, None]


# --- .pgpass ----------------------------------------------------------------------------------------------------------


def test_each_value_of_a_pgpass_line_is_escaped_on_its_own() -> None:
    assert line("pgpass", " h:5432:*:", ("a:b",), ":", ("\\c:'\" ",), " ") == "h:5432:*:a\\:b:\\\\c\\:'\" "
    assert line("pgpass", "h\\:x:5432:*:u:", ("p",)) == "h\\:x:5432:*:u:p"


def test_a_star_from_the_vault_is_a_star_and_no_wildcard() -> None:
    assert line("pgpass", "h:1:*:", ("*",), ":", ("*",)) == "h:1:*:\\*:*"


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\r", ""], ids=ascii)
def test_pgpass_refuses_what_ends_a_line_and_nothing(value: str) -> None:
    assert refusal("pgpass", "h:1:d:u:", (value,)).labels == ("db.password",)


def test_a_value_cannot_turn_a_pgpass_line_into_a_comment() -> None:
    assert "comment" in str(refusal("pgpass", ("#h",), ":1:d:u:p"))
    assert line("pgpass", "h:1:d:u:", ("#p",)) == "h:1:d:u:#p"


@pytest.mark.parametrize("start", ["h:1:d:", "h:1:d:u:x:", "h:1:d:u\\:", "h:1:d:u:\\", "h:1:d:u:\n"])
def test_a_pgpass_line_has_five_fields_of_the_templates_own(start: str) -> None:
    with pytest.raises(Misplaced):
        line("pgpass", start, ("a:b",))


def test_the_key_of_a_pgpass_line_is_all_but_the_password() -> None:
    key = DIALECTS["pgpass"].key
    assert [key(text) for text in ("h\\:x:1:d:u:p", "# a:b:c:d:e", "", "a:b")] == ["h\\:x:1:d:u", None, None, None]


# --- ssh_config -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        (["Host chronos-*  other"], "Host chronos-*  other"),
        (["    User ", ("deploy",)], "    User deploy"),
        (["\tUser=", ("deploy",), " "], "\tUser=deploy"),
        (["User = ", ("a b",)], 'User = "a b"'),
        (["User ", ("=a",)], 'User "=a"'),
        (["User ", ("a#b",)], 'User "a#b"'),
        (["IdentityFile ~/.ssh/", ("it's",)], 'IdentityFile "~/.ssh/it\'s"'),
        (["IdentityFile %d/", ("100%h",)], "IdentityFile %d/100%%h"),
        (["HostName ", ("fe80::1%eth0",)], "HostName fe80::1%%eth0"),
        (["UserKnownHostsFile  ~/a  ", ("/b",)], "UserKnownHostsFile  ~/a /b"),
        (["    # indented"], "    # indented"),
        (['ProxyCommand ssh -W "%h:%p" gate'], 'ProxyCommand ssh -W "%h:%p" gate'),
    ],
)
def test_ssh_config_quotes_a_word_that_holds_a_value_where_it_must(parts: list[str | tuple[str]], written: str) -> None:
    assert line("ssh-config", *parts) == written


@pytest.mark.parametrize("keyword", ["User", "HostName", "IdentityFile", "Port", "ControlPath", "Host"])
@pytest.mark.parametrize(
    "value", ['a"b', "a\\b", "a\nb", "a\rb", "a\x1bb", "a\x85b", "", "-oX", "~a", "a -o"], ids=ascii
)
def test_ssh_config_refuses_a_value_that_could_become_an_option(keyword: str, value: str) -> None:
    assert refusal("ssh-config", f"{keyword} ", (value,)).labels == ("db.password",)


@pytest.mark.parametrize("keyword", ["User", "HostName", "HostKeyAlias", "Host"])
@pytest.mark.parametrize("character", "'`$;&<>|(){}")
def test_ssh_config_refuses_a_name_that_a_proxy_commands_shell_would_run(keyword: str, character: str) -> None:
    assert "character" in str(refusal("ssh-config", f"{keyword} ", (f"a{character}b",)))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("User", "a%h"), ("Host", "*"), ("Host", "!a"), ("Host", "a b"), ("HostName", "a b"), ("IdentityFile", "/${HOME}"),
     ("IdentityFile", "none"), ("ControlPath", "None")],
)  # fmt: skip
def test_ssh_config_refuses_what_ssh_would_expand_or_match(keyword: str, value: str) -> None:
    assert refusal("ssh-config", f"{keyword} ", (value,)).way_out == "correct it in the vault"


@pytest.mark.parametrize(
    "start",
    ["ProxyCommand nc ", "proxyjump ", "LocalCommand ", "Match exec ", "Include ", "KnownHostsCommand ", "SetEnv A=",
     "", "User", "User # ", 'User "', "User '", "User \\", "User a\n"],
)  # fmt: skip
def test_a_value_has_no_place_in_a_command_or_within_the_authors_quotes(start: str) -> None:
    with pytest.raises(Misplaced):
        line("ssh-config", start, ("x",))


@pytest.mark.parametrize("text", ["Host", "Host ", "User=", "=x", "User a\nProxyCommand x", "- x"])
def test_an_ssh_config_line_is_a_keyword_and_its_argument(text: str) -> None:
    with pytest.raises(Misplaced):
        line("ssh-config", text)


def test_the_key_of_an_ssh_config_line_is_its_keyword() -> None:
    key = DIALECTS["ssh-config"].key
    texts = ("  HostName=a", "User b", "Host a", "match all", "# User b", "")
    assert [key(text) for text in texts] == ["HostName", "User", None, None, None, None]
