"""The refusal of a command before it starts."""


class RefusalError(Exception):
    """The command cannot be started, and never will be as things are; the text is a sentence for people.

    ``reason`` is a member of ``FailureReason``.
    """

    def __init__(self, sentence: str, reason: str = "rejected") -> None:
        super().__init__(sentence)
        self.reason = reason
