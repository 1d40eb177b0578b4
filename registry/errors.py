"""What can go wrong, how to mend it, and the exit code it ends in.

    GlasshouseError
    ├── InputError          2  bad input or usage: a file, a value or a reference is not what it must be
    │   ├── Malformed       2  what was read is not in its format, or not within the format's bounds
    │   └── Refused         2  the request is understood and declined: a dirty tree, a version that exists
    ├── VerificationError   1  it was checked and does not hold
    │   ├── DigestMismatch  1  bytes are not the bytes that were signed
    │   ├── SignatureError  1  a signature, certificate or log entry does not verify
    │   └── SignerError     1  a good signature by somebody the policy does not name
    ├── Unavailable         3  could not check: a network, a service or a tool did not answer
    │   ├── Unsupported     3  nor can anybody here: it is of a kind that is not read, and may be good
    │   └── Fault           3  nor can it be told what went wrong: nobody expected it
    └── CredentialsError    4  an identity or a token is needed

Cancelling (Ctrl-C) ends in 130. No other exit code is used.
"""

from __future__ import annotations

from typing import ClassVar


class GlasshouseError(Exception):
    """An error that a person can act on.

    `message` says what was found and what was expected, in one sentence. `mend` says how to put it right: best of all
    with a command to paste.
    """

    exit_code: ClassVar[int] = 2
    """What the command ends with."""
    code: ClassVar[str] = "error"
    """The kind of error, for a program."""

    def __init__(self, message: str, *, mend: str) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __reduce__(self) -> tuple[object, ...]:
        """How another process gets it: as it is, not made anew."""
        return type(self).__new__, (type(self), *self.args), self.__dict__

    def as_json(self) -> dict[str, str]:
        """The form that `--json` prints: {code, message, mend}."""
        return {"code": self.code, "message": self.message, "mend": self.mend}


class InputError(GlasshouseError):
    """A file, a value or a reference is not what it must be."""

    code = "bad-input"


class Malformed(InputError):
    """What was read is not in the format that it must have, or not within the format's bounds.

    Whoever wrote it can know that. So in a release it speaks against the release, unlike a file that cannot be read.
    """


class Refused(InputError):
    """The request is understood, and declined to protect a release."""

    code = "refused"


class VerificationError(GlasshouseError):
    """It was checked, and it does not hold."""

    exit_code = 1
    code = "does-not-hold"


class DigestMismatch(VerificationError):
    """A file's bytes are not the bytes that were signed."""

    code = "digest-mismatch"

    def __init__(self, path: str, *, signed: str, found: str) -> None:
        super().__init__(
            f"{path}: signed as sha256:{signed}, found sha256:{found}",
            mend="fetch the release again; if it still differs, do not load it, and report the release",
        )
        self.path = path


class SignatureError(VerificationError):
    """A signature, a certificate, a log entry or a timestamp does not verify."""

    code = "bad-signature"


class SignerError(VerificationError):
    """A good signature, by somebody the policy does not name."""

    code = "wrong-signer"


class Unavailable(GlasshouseError):
    """Could not check: a network, a service or a tool did not answer."""

    exit_code = 3
    code = "could-not-check"


class Unsupported(Unavailable):
    """Could not check: it is of a kind that is not read here. That says nothing against it."""

    code = "not-supported"


class Fault(Unavailable):
    """Something that nobody expected broke: nothing is known, of the release or of why."""

    code = "fault"


class CredentialsError(GlasshouseError):
    """An identity or a token is needed to go on."""

    exit_code = 4
    code = "needs-credentials"
