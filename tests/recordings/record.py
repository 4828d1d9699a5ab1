"""Records a terminal of the lab's workstation, and writes what was to be seen as an SVG that plays it."""

import html
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

import pyte

HERE = Path(__file__).parent
ON = HERE.parent / "lab/on"
COLUMNS, ROWS = 100, 30
# Pixels of a character, and of the margin around the text.
WIDTH, HEIGHT, MARGIN = 8.4, 17, 12
# Frames that follow each other sooner are one, so that a recording has few of them.
COALESCE = 0.12
# The last frame stays for so many seconds before the recording begins again.
STAY = 6.0
COLOURS = {"default": "#d8dee9", "black": "#3b4252", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b", "blue": "#61afef", "magenta": "#c678dd",
           "cyan": "#56b6c2", "white": "#eceff4"}


class Recording:
    """What a terminal shows, frame by frame.

    Attributes:
        frames (list[tuple[float, list]]): the time of each frame, and its rows as lists of (text, colour).
    """

    def __init__(self):
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.frames = []

    def take(self, words, seconds=300):
        """Runs a command as alice at a terminal of this size until it ends; returns its exit status."""
        pid, line = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.environ.update(TERM="xterm-256color")
            os.execv(ON, [str(ON), "-u", "alice", "workstation", "env", "TERM=xterm-256color", *words])
        set_size(line)
        begin = changed = time.monotonic()
        pending = False
        while time.monotonic() - begin < seconds:
            if select.select([line], [], [], COALESCE)[0]:
                try:
                    data = os.read(line, 65536)
                except OSError:
                    break
                if not data:
                    break
                if not pending:
                    pending, changed = True, time.monotonic()
                self.stream.feed(data)
            if pending and time.monotonic() - changed >= COALESCE:
                self._keep(changed - begin)
                pending = False
        self._keep(time.monotonic() - begin)
        os.close(line)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _keep(self, at):
        rows = [self._row(number) for number in range(ROWS)]
        if not self.frames or rows != self.frames[-1][1]:
            self.frames.append((at, rows))

    def _row(self, number):
        """A row as runs of one colour."""
        runs = []
        line = self.screen.buffer[number]
        for column in range(COLUMNS):
            char = line[column]
            colour = COLOURS.get(char.fg, COLOURS["default"])
            if runs and runs[-1][1] == colour:
                runs[-1][0] += char.data
            else:
                runs.append([char.data, colour])
        return [(text, colour) for text, colour in runs if text.strip()] and [tuple(run) for run in runs]

    def svg(self, title):
        """The recording as an SVG. Without animation, as in a viewer that has none, it shows the last frame."""
        total = self.frames[-1][0] + STAY
        width, height = COLUMNS * WIDTH + 2 * MARGIN, ROWS * HEIGHT + 2 * MARGIN
        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{html.escape(title)}">',
                 f"<title>{html.escape(title)}</title>", "<style>",
                 f"text {{ font: 14px 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre; }} .f {{ visibility: hidden; "
                 f"animation: {total:.2f}s step-end infinite; }}"]
        for number, (at, _rows) in enumerate(self.frames):
            end = self.frames[number + 1][0] if number + 1 < len(self.frames) else total
            begin, over = 100 * (at if number else 0) / total, 100 * end / total
            parts.append(f"@keyframes f{number} {{ 0% {{ visibility: {'hidden' if number else 'visible'}; }} {begin:.3f}% {{ visibility: visible; }} "
                         f"{min(over, 100):.3f}% {{ visibility: hidden; }} }} #f{number} {{ animation-name: f{number}; }}")
        parts += ["@media (prefers-reduced-motion: reduce) { .f { animation: none; } .f:last-of-type { visibility: visible; } }", "</style>",
                  '<rect width="100%" height="100%" rx="6" fill="#2e3440"/>']
        parts += [self._group(number, rows) for number, (_at, rows) in enumerate(self.frames)]
        return "\n".join([*parts, "</svg>", ""])

    @staticmethod
    def _group(number, rows):
        lines = []
        for row, runs in enumerate(rows):
            column, spans = 0, []
            for text, colour in runs:
                kept = text.rstrip() if (text, colour) == runs[-1] else text
                if kept.strip():
                    spans.append(f'<tspan x="{MARGIN + column * WIDTH:.1f}" fill="{colour}">{html.escape(kept)}</tspan>')
                column += len(text)
            if spans:
                lines.append(f'<text y="{MARGIN + (row + 0.8) * HEIGHT:.1f}" xml:space="preserve">{"".join(spans)}</text>')
        return f'<g class="f" id="f{number}">{"".join(lines)}</g>'


def set_size(line):
    """Gives a terminal the recording's size."""
    import fcntl
    import struct
    import termios

    fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))


if __name__ == "__main__":
    sys.exit("run tests/recordings/run")
