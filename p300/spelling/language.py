"""Which symbol comes next: an n-gram model of characters, as a prior for spelling.

It is smoothed by interpolation (Witten-Bell). The model of a longer history gets more weight if
that history was seen more often, and if fewer different symbols followed it. The rest of the
weight goes to the history without its first symbol, and at the end to the uniform distribution.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from p300.errors import InputError

#: Symbols that stand for a space, where the screen has no space itself.
SPACES = (" ", "_", "␣")

#: How letters are written that are not a letter with an accent.
LETTERS = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"}

#: Weight of the uniform distribution in the prior, so that text of another kind (names, random
#: letters) is not read as common words. English loses at most a third of a bit per symbol.
EVEN_SHARE = 0.2


class CharacterModel:
    """The probability of every symbol after a text.

    Parameters
    ----------
    text : str
        Text to count; :meth:`on_screen` converts it to the symbols of the screen.
    symbols : sequence of str
        The symbols of the screen; those of more than one sign are never predicted.
    order : int
        Length of the n-grams in symbols, the predicted one included.

    Raises
    ------
    InputError
        If the text has no symbol of the screen, or the order is less than 1.

    Notes
    -----
    I. H. Witten, T. C. Bell, IEEE Trans Inf Theory 37:1085 (1991), method C.

    Examples
    --------
    >>> model = CharacterModel("the cat, the hat, the bat", "ABCEHT_")
    >>> "ABCEHT_"[np.argmax(model.log_prior("TH"))]
    'E'
    """

    def __init__(self, text: str, symbols: Sequence[str], order: int = 5):
        if order < 1:
            raise InputError(f"got order={order} for the character model; expected at least 1")
        self.symbols = tuple(symbols)
        self.order = order
        self._signs = frozenset(symbols)
        self._space = next((s for s in SPACES if s in self._signs), None)
        read = self.on_screen(text)
        if not read:
            raise InputError(
                f"the text of {len(text)} signs holds none of the {len(self.symbols)} symbols on "
                f"the screen; expected text that can be spelled with them"
            )
        self._counts: list[dict[str, Counter]] = [defaultdict(Counter) for _ in range(order)]
        for k, symbol in enumerate(read):
            for length in range(min(order - 1, k) + 1):
                self._counts[length][read[k - length : k]][symbol] += 1

    @classmethod
    def read(cls, path: str | Path, symbols: Sequence[str], order: int = 5) -> CharacterModel:
        """Build the model from a UTF-8 text file.

        Raises
        ------
        InputError
            If the file is not there, is not UTF-8, or holds no symbol of the screen.
        """
        try:
            text = Path(path).read_text("utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be read as text, {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: byte {error.start} is not UTF-8; expected a plain text file"
            ) from error
        return cls(text, symbols, order)

    def on_screen(self, text: str) -> str:
        """Convert a text to the symbols of the screen.

        A sign that is on the screen stays. Others are tried in capitals, in small letters,
        without their accents and as several letters ("ß" as "SS"). Any amount of white space
        becomes the screen's space. All other signs are dropped.

        Examples
        --------
        >>> CharacterModel("x", "ABCDEFGX_").on_screen("Café,  déca b")
        'CAFE_DECA_B'
        """
        written: list[str] = []
        for sign in text:
            if sign.isspace() and sign not in self._signs:
                if self._space and written and written[-1] != self._space:
                    written.append(self._space)
                continue
            bare = unicodedata.normalize("NFKD", sign)
            forms = (sign, sign.upper(), sign.lower(), bare[0], bare[0].upper(), bare[0].lower())
            found = [form for form in forms if form in self._signs][:1]
            if len(bare) > 1 or not found:  # ligatures, and letters that are no letter + accent
                several = LETTERS.get(sign.lower(), bare)
                pairs = [(s.upper(), s.lower()) for s in several if s.isalnum()]
                spelt = [next((f for f in pair if f in self._signs), "") for pair in pairs]
                found = spelt if len(spelt) > 1 or not found else found
            written += found
        return "".join(written)

    def log_prior(self, previous_text: str) -> np.ndarray:
        """Compute the log probability of every symbol after a text.

        Parameters
        ----------
        previous_text : str
            The text spelled so far. A space is assumed before the first symbol, if the screen
            has one.

        Returns
        -------
        ndarray, shape (n_symbols,)
            All finite; the probabilities sum to 1.
        """
        history = (self._space or "") + self.on_screen(previous_text)
        probability = even = np.full(len(self.symbols), 1 / len(self.symbols))
        for length in range(min(self.order - 1, len(history)) + 1):
            followed = self._counts[length].get(history[len(history) - length :])
            if followed is None:
                break  # longer histories were not seen either
            seen = np.array([followed.get(symbol, 0) for symbol in self.symbols])
            probability = (seen + len(followed) * probability) / (seen.sum() + len(followed))
        return np.log((1 - EVEN_SHARE) * probability + EVEN_SHARE * even)
