"""A program that runs for a person, with or without a terminal, and what they send it."""

import contextlib
import os
import selectors
import signal
from collections.abc import Mapping, Sequence
from types import FrameType

from chronos_secrets.systems.leader import TO_BACKGROUND, TO_FOREGROUND, Leader, Program, start
from chronos_secrets.systems.streams import Relay, TerminalStream
from chronos_secrets.systems.terminal import STREAMS, Terminal, is_pipe

_TO_PROGRAM = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
_KEYS = (signal.SIGINT, signal.SIGQUIT)
_ASKING = (signal.SIGTTIN, signal.SIGTTOU)  # what stops a job that asks for the terminal in the background


class Beside(Relay):
    """A program none of whose streams is a terminal. It stays in our process group."""

    signals = (*_TO_PROGRAM, *_KEYS, signal.SIGHUP, signal.SIGCHLD)

    def __init__(self, program: Program, masked: Sequence[bytes]) -> None:
        super().__init__(masked)
        pipes = self._pipes((1, 2))
        try:
            self._child = start(program._replace(streams=(None, pipes[1], pipes[2])))
        except OSError:
            self.close()
            raise
        finally:
            for end in set(pipes.values()):
                os.close(end)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGCHLD or (number in _KEYS and _keys_reach_the_job()):
            return
        if self._ended_at is None:
            self._child.send_signal(number)

    def _on_alarm(self, events: int) -> None:
        super()._on_alarm(events)
        if self._ended_at is None and (status := self._child.poll()) is not None:
            self._has_ended(status)


def _keys_reach_the_job() -> bool:
    """Whether Ctrl-C is typed at our whole job, so that the program has had it already."""
    try:
        keyboard = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(keyboard) == os.getpgrp()
    finally:
        os.close(keyboard)


class OnTerminal(Relay):
    """A program with a terminal of its own in front of the person's.

    While it is in the foreground we have taken the person's terminal, and every key goes to the program's. In a
    pipeline and in the background the person's terminal stays as it is, for another program may read it; ours gets it
    when it asks for it, which stops it, as it would stop any job in the background.
    """

    signals = (*_TO_PROGRAM, *_KEYS, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)

    def __init__(self, program: Program, masked: Sequence[bytes], terminals: Mapping[int, bool]) -> None:
        super().__init__(masked)
        self._terminal = Terminal(next(stream for stream in (1, 2, 0) if terminals[stream]))
        self._asks = not (is_pipe(0) or is_pipe(1))
        self._foreground = self._terminal.is_ours and self._asks
        self._found_aside = not self._terminal.is_ours  # its settings were those of the shell that edits a line
        self._typed = b""
        self._continued = False
        self._master, slave = os.openpty()
        self._terminal.copy_to(slave)
        pipes = self._pipes([output for output in (1, 2) if not terminals[output]])
        self._output = TerminalStream(self._master, self._terminal, masked)
        self._add(self._output, self._on_master)
        stdin, stdout, stderr = (slave if terminals[stream] else pipes.get(stream) for stream in STREAMS)
        ours = (self._alarms, self.alarm, *(stream.source for stream in self._open))
        try:
            program = program._replace(streams=(stdin, stdout, stderr))
            self._leader = Leader(program, slave, foreground=self._foreground, ours=ours)
        except OSError:
            super().close()
            raise
        finally:
            for end in {slave, *pipes.values()}:
                os.close(end)
        self._selector.register(self._leader.reports, selectors.EVENT_READ, self._on_report)
        self._refresh()

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._ended_at is not None:
            return
        if number == signal.SIGCONT:
            self._continued = True
        elif number == signal.SIGWINCH:
            self._resize()
        elif number in _TO_PROGRAM:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader.program, number)
        else:
            self._signal_job(number)
            if number == signal.SIGHUP:  # as the kernel does: a stopped job would never hear of it
                self._signal_job(signal.SIGCONT)

    def close(self) -> None:
        self._terminal.give_back()
        super().close()
        if self._ended_at is not None:
            self._leader.close()

    def _signal_job(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._leader.program, number)

    # the program stops and goes on

    def _on_report(self, _events: int) -> None:
        status = self._leader.report()
        if status is not None and os.WIFSTOPPED(status):
            self._has_stopped(os.WSTOPSIG(status))
            return
        self._selector.unregister(self._leader.reports)
        self._has_ended(-signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status))
        self._listen()

    def _has_stopped(self, number: int) -> None:
        asks = number in _ASKING
        given = asks and not self._foreground and self._terminal.is_ours
        if not given and not self._stop(number) and asks and not self._terminal.is_ours:
            self._signal_job(signal.SIGHUP)  # nobody is there who could ever give it the terminal
        self._asks = self._asks or asks
        self._foreground = self._terminal.is_ours and self._asks
        self._refresh()
        self._leader.order(TO_FOREGROUND if self._foreground else TO_BACKGROUND)

    def _stop(self, number: int) -> bool:
        """Stop our whole job as the program was stopped, until the shell lets it go on. False if there is no shell."""
        self._copy_last(self._output)  # such as leaving the screen as it was
        self._terminal.give_back()
        self._continued = False
        if number in _ASKING and not self._foreground and self._terminal.is_ours:
            return True  # given to us meanwhile: stopping now would stop what the person has just brought back
        if number == signal.SIGSTOP:
            os.kill(os.getpid(), number)
        else:
            handler = signal.signal(number, signal.SIG_DFL)
            os.kill(0, number)
            signal.signal(number, handler)
        return self._continued

    def _on_alarm(self, events: int) -> None:
        super()._on_alarm(events)
        if self._continued:  # without the program's having stopped
            self._continued = False
            self._foreground = self._foreground and self._terminal.is_ours
            self._refresh()

    def _refresh(self) -> None:
        if self._foreground:
            self._look_again()
            self._terminal.take(shared=is_pipe(1))
            self._resize()
        else:
            self._terminal.give_back()
        self._listen()

    def _look_again(self) -> None:
        """Started in the background: only now does the terminal have the settings that a program is to find."""
        if self._found_aside and self._output in self._open:
            self._terminal.look_again()
            self._terminal.copy_to(self._master)
        self._found_aside = False

    def _resize(self) -> None:
        if self._output in self._open:
            self._terminal.copy_size_to(self._master)  # which tells the foreground of the program's terminal
        if not self._foreground:
            self._signal_job(signal.SIGWINCH)

    # what is typed

    def _on_master(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._type()
        if events & selectors.EVENT_READ:
            self._copy(self._output)

    def _on_keys(self, _events: int) -> None:
        try:
            keys = os.read(self._terminal.reader, 4096)
        except OSError:
            keys = b""
        self._typed += keys
        self._type()
        if not keys:
            self._hang_up()

    def _hang_up(self) -> None:
        """The person's terminal is gone, so the program's is: it hears of it, and reads the end of its input."""
        self._foreground = self._asks = False
        if self._output in self._open:
            self._drop(self._output)
        self._listen()

    def _type(self) -> None:
        """Pass on what was typed, as far as there is room. Never wait for it: the program may wait for us to read."""
        try:
            self._typed = self._typed[os.write(self._master, self._typed) :] if self._output in self._open else b""
        except BlockingIOError:
            pass
        except OSError:  # nobody is there to read it
            self._typed = b""
        self._listen()

    def _listen(self) -> None:
        """Wait for keys while they are for the program and it has taken the ones before."""
        listens = self._foreground and not self._typed and self._ended_at is None
        if listens != (self._terminal.reader in self._selector.get_map()):
            if listens:
                self._selector.register(self._terminal.reader, selectors.EVENT_READ, self._on_keys)
            else:
                self._selector.unregister(self._terminal.reader)
        if self._output in self._open:
            writing = selectors.EVENT_WRITE if self._typed else 0
            self._selector.modify(self._master, selectors.EVENT_READ | writing, self._on_master)
