"""Why a command was not started."""


class LaunchError(Exception):
    """The command cannot be started, and a retry would not help; the text is a sentence for people.

    ``reason`` is a member of ``FailureReason``.
    """

    def __init__(self, sentence: str, reason: str = "rejected") -> None:
        super().__init__(sentence)
        self.reason = reason
