"""Every error that a user can cause: one line that says what was found, what is allowed and the nearest valid name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from squeezesim.escapes import visible


class SqueezesimError(Exception):
    """An error in what the user gave; the command line prints its text, one line, and exits with code 2.

    Of a mistake in a YAML file or a condition the text goes on with the line that it is in and a caret below; several
    mistakes are as many texts. Control characters in them, of names and files of strangers, are escaped.

    Example:
        >>> import squeezesim as sq
        >>> try:
        ...     sq.simulate("squeezenex_23", "os_32x32")
        ... except sq.SqueezesimError as error:
        ...     print("did you mean" in str(error))
        True
    """

    def __init__(self, *texts: str) -> None:
        super().__init__(*map(_shown, texts))

    def __str__(self) -> str:
        return "\n".join(self.args)


class ModelError(SqueezesimError):
    """A network that is unknown, unreadable, or that rejects the given input."""


class HardwareError(SqueezesimError):
    """An accelerator that is unknown, malformed, or that cannot run a layer."""


class MappingError(SqueezesimError):
    """A mapping that is missing, unreadable, malformed or of another version, or that a layer cannot have."""


class ReportError(SqueezesimError):
    """A report file that is missing, unreadable, malformed or of another version."""


class OutputError(SqueezesimError):
    """A result that cannot be written where the user asked."""


class UsageError(SqueezesimError):
    """Options that contradict each other or whose value cannot be read."""


class ArgumentError(UsageError):
    """Arguments that contradict each other; their names stand in braces, where the command line puts its options.

    Example:
        >>> error = ArgumentError("{samples} and {a search} both choose designs")
        >>> str(error), error.named(lambda name: f"--{name.split()[-1]}")
        ('samples and a search both choose designs', '--samples and --search both choose designs')
    """

    def __init__(self, text: str) -> None:
        self._text = text
        super().__init__(self.named(str))

    def named(self, name: Callable[[str], str]) -> str:
        """Return the text with what *name* makes of each argument."""
        return re.sub(r"\{([a-z_ ]+)\}", lambda match: name(match[1]), self._text)


class ClusterError(SqueezesimError):
    """A scheduler that goes away while its workers cost designs."""


def pip_install(*packages: str) -> str:
    """Return the command that installs optional *packages* of PyPI, with what they import and do not require.

    It names the packages themselves, no extras of this project, so that it works in a checkout as well.

    Example:
        >>> pip_install("timm", "pytorchcv")
        'pip install timm pytorchcv torchvision'
    """
    return " ".join(
        (
            "pip install",
            *dict.fromkeys([*packages, *("torchvision" for name in packages if name == "pytorchcv")]),
        )
    )


@contextmanager
def installed(package: str) -> Iterator[None]:
    """Say how to install *package* where what runs inside, or in the function that this decorates, needs it.

    Raises:
        ModelError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ModelError(f"{package} is not installed: {pip_install(package)}") from None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x' or 'y'?"`` for the closest of *known*, or an empty string; case counts last.

    Example:
        >>> nearest("squeezenex_23", ["squeezenext_23", "alexnet"])
        "; did you mean 'squeezenext_23'?"
    """
    names = list(known)
    alike = [name for name in names if name.casefold() == word.casefold()]
    close = alike or difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def _shown(text: str) -> str:
    """*text* on one line, and below it the line of a file and the caret that it may end with."""
    lines = text.split("\n")
    if len(lines) < 3 or lines[-1].strip(" ") != "^":
        return visible(text)
    return "\n".join([visible("\n".join(lines[:-2])), visible(lines[-2]), lines[-1]])
