"""Whether a password is one of those that everybody guesses first.

The bundled list holds words and runs of keys. What people do to such a word to please a rule (capitals, digits and
signs around it, digits in place of letters) does not make it another one.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Final

_AROUND: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_LEET: Final = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
_RUNS: Final = ("01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc4rfv")


def is_common(candidate: str) -> bool:
    """Tell whether a candidate is a common password or a common disguise of one."""
    folded = candidate.casefold()
    return any(_is_known(form) for form in (folded, folded.translate(_LEET))) or _is_run(folded)


def _is_known(text: str) -> bool:
    words = _words()
    bare = _AROUND.sub("", text)
    if text in words or bare in words:
        return True
    half, odd = divmod(len(bare), 2)
    return not odd and bare[:half] == bare[half:] and bare[:half] in words


def _is_run(text: str) -> bool:
    """Tell whether a text is one or two characters over and over, or runs along the keys or the alphabet."""
    if len(set(text)) <= 2:
        return True
    for run in _RUNS:
        for way in (run, run[::-1]):
            if text in way * 3:
                return True
    return False


@cache
def _words() -> frozenset[str]:
    text = files("concord.credentials.secrets").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())
