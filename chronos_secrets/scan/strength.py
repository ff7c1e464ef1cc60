"""How many guesses a value withstands, in bits: little for what people type, about the true entropy for generated ones.

An estimate for deciding which values may be searched by fingerprint. Words, names, years, rows of the keyboard,
repetitions and letters disguised as digits are cheap, because whoever guesses tries them first. A value is cut into
words, and these into runs of letters, of digits and of the rest; each costs what the best way of guessing it would.
"""

import math
import re

from chronos_secrets.scan.words import randomness

_LETTER, _DIGIT, _OTHER, _FOREIGN = 4.7, 3.32, 5.0, 4.0  # log2 of 26, 10, 32; a letter of another alphabet's word
_SWITCH = 1.5  # that one run ends and what kind the next one is
_CAPITAL = 1.0
_AGAIN = 1.0  # the same separator once more
_FIRST = 7.0  # one of the first hundred guesses
_WALK = 7.0  # which row of keys, from where to where
_YEAR, _DATE = 6.6, 15.0
_DISGUISE = 1.5  # whether this letter is disguised, and as what
_WORDS, _LOOKS_LIKE, _SURELY = 0.55, 5.8, 5.2
"""What guessing by word lists gains over the model of three letters in a row, and the model's bits per letter up to
which a run is a word, or surely one. Measured on words of four to seven letters (mean 4.1), random letters (8.5)."""
_MODEL_LETTER = 5.125  # what `randomness` counts for a random letter

_RUNS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^A-Za-z0-9]+")
_WORD = re.compile(r"[^\s_.,:;/|-]+|[\s_.,:;/|-]")
_DISGUISES = [str.maketrans("@401!3$57", f"aao{one}iesst") for one in "il"]
_ENDING = "0123456789!?*#$%&+"
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop",
    "qsdfghjklm", "01234567890", "qazwsxedcrfvtgbyhnujm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p",
    "!@#$%^&*()",
)  # fmt: skip
_STEPS = frozenset(way[at : at + 4] for row in _ROWS for way in (row, row[::-1]) for at in range(len(row) - 3))
_FIRST_GUESSES = frozenset(
    """
    password passwort passwd pass admin administrator root user guest login welcome hello secret letmein changeme
    default test testing demo example sample dummy temp temporary master access system server service database backup
    postgres mysql oracle redis amazon google github docker ubuntu debian linux windows apple staging production
    love iloveyou dragon monkey football baseball soccer hockey shadow sunshine princess superman batman pokemon
    michael jennifer jordan thomas robert daniel charlie george andrew jessica ashley matthew joshua david anna peter
    maria martin alex john jack james mary susan linda sarah emma laura lucas paul mark chris nicole hunter ranger
    summer winter spring autumn january february march april june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday london paris berlin toronto canada america company office
    internet computer security private public project mustang ferrari porsche mercedes cheese banana orange coffee
    chocolate cookie pepper ginger killer flower freedom whatever starwars matrix ninja magic diamond silver golden
    purple yellow correct horse battery staple https http www com org net
    the and for you are not but his her our all can has had was who why how new old red one two ten big sun sea day
    get him man now see way boy did its let put say she too use god cat dog pig cow car bus job fun joe tom jim ben
    max sam bob ann eva rex my me we he it is in on at to of or by no so up us
    """.split()  # noqa: SIM905  a list of strings would be four times as long
)


def bits(value: str) -> float:
    """The estimate for a value as a whole. It is never above what its alphabet and its length allow."""
    if not value:
        return 0.0
    unit = _unit(value)
    if len(unit) < len(value):
        return bits(unit) + math.log2(len(value) / len(unit))
    return min(_words(value), _by_alphabet(value))


def _unit(value: str) -> str:
    """What the value is a repetition of: itself, if of nothing."""
    return value[: (value + value).find(value, 1)]


def _by_alphabet(value: str) -> float:
    used = len(set(value))
    return len(value) * min(_bits_per_character(value), math.log2(used) + used * 5 / len(value))


def _bits_per_character(value: str) -> float:
    if re.fullmatch("[0-9]+", value):
        return _DIGIT
    if re.fullmatch("[0-9a-f-]+|[0-9A-F-]+", value):
        return 4.0
    classes = (("[a-z]", 26), ("[A-Z]", 26), ("[0-9]", 10), ("[^a-zA-Z0-9]", 33))
    return math.log2(sum(size for pattern, size in classes if re.search(pattern, value)))


def _words(value: str) -> float:
    total, seen = 0.0, set()
    for word in _WORD.findall(value):
        if _WORD.fullmatch(word) and len(word) == 1 and not word.isalnum():
            total += _AGAIN if word in seen else _OTHER
        else:
            total += min(_walked(word), _disguised(word))
        seen.add(word)
    return total


def _disguised(word: str) -> float:
    """The cost if digits and signs stand for letters (and some more follow): only where that makes a word."""
    core = word.rstrip(_ENDING)
    costs = [math.inf]
    for table in _DISGUISES:
        plain = core.lower().translate(table)
        changes = sum(before != after for before, after in zip(core.lower(), plain, strict=True))
        if changes and plain.isalpha() and plain.isascii() and (found := _as_word(plain, _SURELY)) is not None:
            capitals = _CAPITAL if core != core.lower() else 0.0
            costs.append(found + capitals + changes * _DISGUISE + _walked(word[len(core) :]))
    return min(costs)


def _walked(word: str) -> float:
    """The cost with rows of the keyboard and of the alphabet cut out."""
    small, total, start, at = word.lower(), 0.0, 0, 0
    while at + 4 <= len(small):
        end = at
        while small[end : end + 4] in _STEPS:
            end += 1
        if end > at:
            total += _runs(word[start:at]) + _WALK
            start = at = end + 3
        else:
            at += 1
    return total + _runs(word[start:])


def _runs(text: str) -> float:
    found = _RUNS.findall(text)
    return sum(map(_run, found)) + _SWITCH * max(0, len(found) - 1)


def _run(run: str) -> float:
    if len(run) > 2 and len(set(run)) == 1:
        return _run(run[0]) + math.log2(len(run))
    if run[0] in "0123456789":
        return _number(run)
    if run.isascii() and run.isalpha():
        return _letters(run.lower()) + (_CAPITAL if run != run.lower() else 0.0)
    return sum(_OTHER if character.isascii() else _FOREIGN for character in run)


def _number(digits: str) -> float:
    if len(digits) == 4 and digits[:2] in {"19", "20"}:
        return _YEAR
    if len(digits) == 8 and re.fullmatch(
        "(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9]|[0-3][0-9](0[1-9]|1[0-2])(19|20)[0-9]{2}", digits
    ):
        return _DATE
    return _DIGIT * len(digits)


def _letters(letters: str) -> float:
    word = _as_word(letters)
    chance = _LETTER * len(letters)
    return chance if word is None else min(chance, word)


def _as_word(letters: str, limit: float = _LOOKS_LIKE) -> float | None:
    """The cost of small letters that are a word, or words without spaces; None if they look like none."""
    if letters in _FIRST_GUESSES:
        return _FIRST
    if len(letters) < 4:
        return None
    for cut in range(4, len(letters) - 3):
        if letters[:cut] in _FIRST_GUESSES:
            return _FIRST + _letters(letters[cut:])
        if letters[cut:] in _FIRST_GUESSES:
            return _FIRST + _letters(letters[:cut])
    model = randomness(letters.encode()) + _MODEL_LETTER * len(letters)
    return _WORDS * model if model < limit * len(letters) else None
