"""Supervised actors inside a trio program: a job queue whose worker is slow, and callers who are not all patient.

python -m examples.embed_trio
"""

from __future__ import annotations

import trio
import trio.testing

from actors import AskTimeout, MailboxFull, Supervisor


class Printer:
    """Prints one page at a time. A mailbox of three is its tray."""

    def __init__(self) -> None:
        self.printed: list[str] = []

    async def print_page(self, text: str) -> int:
        await trio.sleep(0.01)
        self.printed.append(text)
        return len(self.printed)


async def main() -> None:
    async with Supervisor(name="office") as supervisor, trio.open_nursery() as nursery:
        printer = await supervisor.start(Printer, name="printer", mailbox_capacity=3)
        for number in range(3):
            nursery.start_soon(printer.ask, Printer.print_page, f"page {number}")
        await trio.testing.wait_all_tasks_blocked()
        try:
            await printer.ask(Printer.print_page, "urgent", timeout=0.001)
        except AskTimeout as error:
            print(error)  # and it is never printed: nobody waits for it
        printer.tell(Printer.print_page, "later")
        try:
            printer.tell(Printer.print_page, "too much")
        except MailboxFull as error:
            print(error)
        # Leaving the supervisor finishes what is in the tray.
    print("done")


if __name__ == "__main__":
    trio.run(main)
