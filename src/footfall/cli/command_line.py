"""A command whose last argument is a command line of somebody else: options before it are ours, whatever follows is not."""

from typing import Any

import click

from footfall.cli.context import Command

_ELSEWHERE = {
    "--gpus": "GPUs come with the product: --product CODE, `footfall products` lists them.",
    "--gpu": "GPUs come with the product: --product CODE, `footfall products` lists them.",
    "--cpus": "Cores come with the product: --product CODE, `footfall products` lists them.",
    "--memory": "Memory comes with the product: --product CODE, `footfall products` lists them.",
    "--name": "A run is named by its number; --note TEXT describes it.",
}
"""What other tools call options, and what stands for them here."""


class CommandLine(Command):
    """Takes its own options and ``n_own`` arguments, in any order, up to the first word of the other command or ``--``.

    The other command arrives as the parameter ``command``, each word as it was typed.
    """

    def __init__(self, *args: Any, n_own: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._n_own = n_own

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse our part, and refuse an option in it that is not ours.

        Raises:
            click.UsageError: there is no such option; it says which is meant, where one is near.
        """
        own, command = self._split(ctx, args)
        try:
            rest = super().parse_args(ctx, own)
        except click.NoSuchOption as error:
            raise click.UsageError(self._advise(error), ctx) from error
        if command and command[0].startswith("-") and not ctx.resilient_parsing:
            details = "a command begins with a program; what stands behind `--` is the command."
            raise click.UsageError(f"{command[0]!r} is an option and no program: {details}", ctx)
        ctx.params["command"] = tuple(command)
        return rest

    def _split(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str]]:
        takes_value = {
            name: isinstance(option, click.Option) and not option.is_flag and not option.count
            for option in self.get_params(ctx)
            for name in (*option.opts, *option.secondary_opts)
        }
        n_left, index = self._n_own, 0
        while index < len(args):
            word = args[index]
            if word == "--":
                behind = args[index + 1 :]
                return args[:index] + behind[:n_left], behind[n_left:]
            if word.startswith("-") and word != "-":
                index += 2 if takes_value.get(word) else 1
            elif n_left:
                n_left, index = n_left - 1, index + 1
            else:
                return args[:index], args[index:]
        return args, []

    def _advise(self, error: click.NoSuchOption) -> str:
        from difflib import get_close_matches

        name = error.option_name
        if name in _ELSEWHERE:
            return f"No such option {name!r}. {_ELSEWHERE[name]}"
        ours = [each for option in self.params for each in option.opts if each.startswith("--")]
        near = (
            get_close_matches(name, ours, 1) if name.startswith("--") else [each for each in ours if each.startswith(f"-{name}")]
        )
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        return f"No such option {name!r}.{meant}"
