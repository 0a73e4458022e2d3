"""Everything the appliance raises; the class says who reacts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the configuration, or with what it names; ``line`` is that of the file, from 1."""

    key: str
    reason: str
    repair: str
    line: int | None = None
    value: str = ""

    def __str__(self) -> str:
        where = f"{self.key}{self.value}: " if self.key else ""
        repair = f"; {self.repair}" if self.repair else ""
        return f"{where}{self.reason}{repair}" + (f" (line {self.line})" if self.line else "")


class ConfigurationInvalid(Exception):
    """The configuration cannot be used; shown to the person who starts the box. Exit status 2.

    A problem that is given as words alone is "what is wrong; what to do".
    """

    def __init__(self, source: str, problems: tuple[str | Problem, ...]) -> None:
        super().__init__(f"configuration {source}:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.source = source
        self.problems = tuple(str(one) for one in problems)
        self.details = tuple(one if isinstance(one, Problem) else _of_words(one) for one in problems)


def _of_words(words: str) -> Problem:
    reason, _, repair = words.partition("; ")
    return Problem("", reason, repair)


class ReceiveError(Exception):
    """An instance is not taken in; the sender gets ``dicom_status`` (PS3.4 B.2.3) and the comment."""

    dicom_status = 0xC000
    reason = "cannot_understand"

    def __init__(self, comment: str) -> None:
        super().__init__(comment)
        self.comment = comment


class OutOfResources(ReceiveError):
    """No room or no working disk: the sender should try again later (0xA700)."""

    dicom_status = 0xA700
    reason = "out_of_resources"


class DataSetDoesNotMatch(ReceiveError):
    """The data set is not what its SOP class or the request says (0xA900)."""

    dicom_status = 0xA900
    reason = "data_set_does_not_match"


class CannotUnderstand(ReceiveError):
    """The bytes are not a data set we can file: torn, or without the UIDs a study needs (0xC000)."""


class InstanceConflict(ReceiveError):
    """The SOP Instance UID is known with other content; the newcomer is kept aside (0xC111)."""

    dicom_status = 0xC111
    reason = "uid_known_with_other_content"


class InstanceTooLarge(ReceiveError):
    """One instance or one study is over its limit (0xA700 would invite a retry, so 0xC112)."""

    dicom_status = 0xC112
    reason = "over_limit"
