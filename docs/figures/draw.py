#!/usr/bin/env python3
"""Draws the figures of docs/codata.md: `python3 docs/figures/draw.py` writes the .svg files beside this one.

With --check it writes nothing and ends with 1 if a file is not what it would write. Needs Python 3 alone.
"""

import pathlib
import sys
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).parent

# Light, and dark where the reader's page is dark. No background: the page's own shows.
STYLE = """
text { font: 14px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328; }
.small { font-size: 12px; }
.title { font-size: 16px; font-weight: 600; }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 13px; }
.faint { fill: #59636e; }
.box { fill: #f6f8fa; stroke: #59636e; stroke-width: 1.5; }
.good { fill: #dafbe1; stroke: #1a7f37; stroke-width: 1.5; }
.bad { fill: #ffebe9; stroke: #cf222e; stroke-width: 1.5; }
.busy { fill: #fff8c5; stroke: #9a6700; stroke-width: 1.5; }
.party { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.5; }
.none { fill: none; stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 4 4; }
.line { stroke: #59636e; stroke-width: 1.5; fill: none; }
.dashed { stroke-dasharray: 5 4; }
.tip { fill: #59636e; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.faint { fill: #9198a1; }
.box { fill: #212830; stroke: #9198a1; }
.good { fill: #12261e; stroke: #3fb950; }
.bad { fill: #2d1517; stroke: #f85149; }
.busy { fill: #272115; stroke: #d29922; }
.party { fill: #121d2f; stroke: #58a6ff; }
.none { stroke: #9198a1; }
.line { stroke: #9198a1; }
.tip { fill: #9198a1; }
}
""".strip()


class Figure:
    def __init__(self, width, height, title):
        self.width, self.height, self.title = width, height, title
        self.parts = []

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, kind="", anchor="middle"):
        self.add(f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def box(self, x, y, width, height, lines, kind="box"):
        """A box with lines of text in its middle; a line may be (text, kind)."""
        self.add(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{kind}"/>')
        lines = [line if isinstance(line, tuple) else (line, "") for line in lines]
        top = y + height / 2 - 9 * (len(lines) - 1) + 5
        for index, (line, style) in enumerate(lines):
            self.text(x + width / 2, top + 18 * index, line, style)

    def arrow(self, *points, label=None, at=None, dashed=False, anchor="middle", kind="small"):
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        style = "line dashed" if dashed else "line"
        self.add(f'<path d="{path}" class="{style}" marker-end="url(#tip)"/>')
        if label is not None:
            if at is None:
                (x1, y1), (x2, y2) = points[0], points[-1]
                at = ((x1 + x2) / 2, (y1 + y2) / 2 - 7)
            for index, line in enumerate(label.split("\n")):
                self.text(at[0], at[1] + 15 * index, line, kind, anchor)

    def curve(self, path, label=None, at=(0, 0), dashed=False, anchor="middle"):
        style = "line dashed" if dashed else "line"
        self.add(f'<path d="{path}" class="{style}" marker-end="url(#tip)"/>')
        if label is not None:
            for index, line in enumerate(label.split("\n")):
                self.text(at[0], at[1] + 15 * index, line, "small", anchor)

    def line(self, *points, dashed=False):
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        self.add(f'<path d="{path}" class="{"line dashed" if dashed else "line"}"/>')

    def svg(self):
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img">'
        )
        tip = (
            '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" class="tip"/></marker></defs>'
        )
        lines = [head, f"<title>{escape(self.title)}</title>", f"<style>\n{STYLE}\n</style>", tip]
        return "\n".join(lines + self.parts + ["</svg>", ""])


def data_and_codata():
    f = Figure(760, 300, "Data is built and taken apart; codata is unfolded and observed")
    f.text(190, 24, "Data: how it was built", "title")
    f.text(570, 24, "Codata: how it answers", "title")
    f.line((380, 14), (380, 286), dashed=True)

    f.box(20, 52, 90, 34, [("cons 3", "code")], "party")
    f.box(20, 102, 90, 34, [("cons 5", "code")], "party")
    f.box(20, 152, 90, 34, [("empty", "code")], "party")
    f.arrow((110, 69), (168, 104))
    f.arrow((110, 119), (168, 119))
    f.arrow((110, 169), (168, 134))
    f.box(170, 96, 90, 46, ["3, 5"])
    f.arrow((260, 119), (318, 119), label="fold", at=(288, 111))
    f.box(320, 102, 44, 34, ["8"], "good")
    f.text(65, 212, "constructors", "small faint")
    f.text(215, 162, "a finite value", "small faint")
    f.text(190, 250, "All of it is there before anybody looks.")
    f.text(190, 272, "A function on it is defined for each way to build it.", "small faint")

    f.box(400, 96, 80, 46, ["state s"], "box")
    f.arrow((480, 108), (588, 68), label="head", at=(530, 76))
    f.arrow((480, 130), (588, 166), label="tail", at=(530, 166))
    f.box(590, 50, 60, 34, ["3"], "good")
    f.box(590, 148, 80, 46, ["state s'"], "box")
    f.arrow((670, 160), (722, 132), label="head", at=(688, 134))
    f.arrow((670, 182), (722, 206), label="tail", at=(690, 212))
    f.box(724, 112, 30, 30, ["5"], "good")
    f.text(740, 214, "…")
    f.text(440, 162, "unfold from here", "small faint")
    f.text(570, 250, "Made while somebody looks; it may never end.")
    f.text(570, 272, "A process that makes it is defined by each way to look.", "small faint")
    return f


def which():
    f = Figure(760, 268, "The four structures by how many values there are, and who gets each")
    f.text(250, 24, "each value is there for everybody who looks", "title")
    f.text(614, 24, "each value goes to one", "title")
    f.text(16, 92, "one", "title", "start")
    f.text(16, 112, "value", "title", "start")
    f.text(16, 202, "many", "title", "start")
    f.text(16, 222, "values", "title", "start")
    f.box(80, 48, 165, 90, [("Future", "title"), "made when its", "producer comes to it"], "party")
    f.box(255, 48, 165, 90, [("Lazy", "title"), "made when the first", "reader asks"], "party")
    f.box(480, 48, 264, 90, ["a Channel of one value,", "or a Future that one party gets"], "none")
    f.box(80, 158, 340, 90, [("Stream", "title"), "every subscriber gets every value", "from where it joined"], "party")
    f.box(480, 158, 264, 90, [("Channel", "title"), "from hand to hand, or", "through a buffer"], "party")
    return f


def future():
    f = Figure(760, 250, "States of a Future: each generation is settled once")
    f.box(20, 92, 110, 50, ["vacant"])
    f.box(230, 92, 120, 50, ["promised"], "busy")
    f.box(490, 20, 110, 46, ["value"], "good")
    f.box(490, 94, 110, 46, ["failed"], "bad")
    f.box(490, 168, 110, 46, ["broken"], "bad")
    f.arrow((130, 117), (228, 117), label="promise", at=(178, 109))
    f.arrow((350, 107), (488, 48), label="set", at=(410, 70))
    f.arrow((350, 117), (488, 117), label="fail", at=(425, 110))
    f.arrow((350, 128), (488, 188), label="promise dropped,\nor its party died", at=(338, 186))
    f.line((600, 43), (640, 43))
    f.line((600, 117), (640, 117))
    f.line((600, 191), (640, 191))
    f.line((640, 43), (640, 191))
    f.arrow((640, 117), (690, 117), (690, 236), (75, 236), (75, 144), label="reset: the next generation, with handles of its own", at=(290, 229))
    f.text(668, 36, "get: the same", "small faint", "start")
    f.text(668, 52, "for everybody,", "small faint", "start")
    f.text(668, 68, "until reset", "small faint", "start")
    return f


def lazy():
    f = Figure(760, 240, "States of a Lazy: one party evaluates, the others wait for it")
    f.box(20, 92, 130, 50, ["unevaluated"])
    f.box(290, 92, 130, 50, ["evaluated by", "one party"], "busy")
    f.box(560, 54, 120, 46, ["value"], "good")
    f.box(560, 134, 120, 46, ["failed"], "bad")
    f.arrow((150, 117), (288, 117), label="the first that asks", at=(219, 109))
    f.arrow((420, 108), (558, 80), label="it is made", at=(486, 84))
    f.arrow((420, 126), (558, 156), label="it fails", at=(486, 160))
    f.curve("M330 92 C 320 40, 390 40, 380 90", "its party died: who waits takes over", (355, 38))
    f.line((680, 77), (716, 77))
    f.line((680, 157), (716, 157))
    f.line((716, 77), (716, 157))
    f.arrow((716, 117), (740, 117), (740, 222), (85, 222), (85, 144), label="invalidate", at=(400, 215))
    f.text(355, 166, "others wait, asleep,", "small faint")
    f.text(355, 182, "and get what it made", "small faint")
    return f


def stream():
    f = Figure(760, 260, "A Stream keeps the last values; each subscriber has a cursor of its own")
    cells = [("36", "none"), ("37", "none"), ("38", "box"), ("39", "box"), ("40", "box"), ("41", "box"), ("42", "none")]
    left, width = 150, 66
    for index, (number, kind) in enumerate(cells):
        f.box(left + index * width, 100, width - 6, 44, [number], kind)
    f.box(660, 24, 90, 40, ["publisher"], "party")
    f.arrow((704, 64), (704, 122), (left + 7 * width - 10, 122), label="emit 42", at=(696, 92), anchor="end")
    f.line((left + 2 * width, 86), (left + 6 * width - 6, 86))
    f.text(left + 4 * width, 78, "the last four are kept", "small faint")
    f.text(left + width - 4, 78, "overwritten", "small faint")

    f.box(366, 196, 110, 40, ["subscriber A"], "party")
    f.arrow((421, 196), (421, 146), label="next: 40", at=(429, 174), anchor="start")
    f.box(560, 196, 110, 40, ["subscriber B"], "party")
    f.arrow((576, 196), (576, 146), label="empty: it waits for 42", at=(584, 174), anchor="start")
    f.box(20, 196, 110, 40, ["subscriber C"], "party")
    f.arrow((75, 196), (75, 122), (148, 122), label="was at 36: lagged by 2,", at=(140, 212), anchor="start")
    f.text(140, 228, "and goes on at 38", "small", "start")
    return f


def channel():
    f = Figure(760, 330, "A Channel without a buffer hands a value over; with one, values wait in it")
    f.text(190, 22, "capacity 0: a rendezvous", "title")
    f.text(570, 22, "capacity n: a buffer", "title")
    f.line((380, 12), (380, 318), dashed=True)
    # Two lines of time.
    f.text(80, 52, "sender")
    f.text(300, 52, "receiver")
    f.line((80, 62), (80, 248))
    f.line((300, 62), (300, 248))
    f.box(56, 82, 48, 28, ["send"], "party")
    f.box(66, 110, 28, 86, [], "none")
    f.text(110, 156, "waits", "small faint", "start")
    f.box(276, 168, 48, 28, ["recv"], "party")
    f.arrow((104, 196), (274, 196), label="the value", at=(190, 188))
    f.box(50, 206, 60, 28, ["done"], "good")
    f.box(262, 206, 76, 28, ["has it"], "good")
    f.text(190, 274, "Send is done when the value is received,", "small faint")
    f.text(190, 290, "and not before. Whoever comes first waits.", "small faint")

    f.text(440, 52, "senders")
    f.text(706, 52, "receivers")
    for index, y in enumerate((80, 136)):
        f.box(410, y, 60, 32, [f"S{index + 1}"], "party")
        f.box(676, y, 60, 32, [f"R{index + 1}"], "party")
        f.arrow((470, y + 16), (508, 118 if index == 0 else 130))
        f.arrow((636, 118 if index == 0 else 130), (674, y + 16))
    for index, kind in enumerate(("none", "good", "good", "good")):
        f.box(510 + index * 32, 106, 28, 36, [] if kind == "none" else ["•"], kind)
    f.text(572, 168, "each value to one receiver", "small faint")
    f.box(520, 196, 110, 34, ["close"], "busy")
    f.text(575, 252, "No more is sent; what is in it", "small faint")
    f.text(575, 268, "is still received, and then every", "small faint")
    f.text(575, 284, "receiver is told that it is closed.", "small faint")
    return f


def laws():
    f = Figure(760, 210, "Two maps are one: both ways around give the same values")
    f.box(40, 30, 190, 46, [("values of T", ""), ("3, 5, 8, …", "small faint")])
    f.box(530, 30, 190, 46, [("values of U", ""), ("6, 10, 16, …", "small faint")])
    f.box(530, 140, 190, 46, [("values of V", ""), ("7, 11, 17, …", "small faint")], "good")
    f.arrow((230, 53), (528, 53), label=".map(f)", at=(380, 45), kind="code")
    f.arrow((625, 76), (625, 138), label=".map(g)", at=(633, 112), anchor="start", kind="code")
    f.arrow((230, 70), (528, 158), label=".map(|x| g(f(x)))", at=(330, 138), kind="code")
    f.text(40, 176, "f doubles, g adds one", "small faint", "start")
    return f


FIGURES = {
    "data-codata": data_and_codata,
    "which": which,
    "future": future,
    "lazy": lazy,
    "stream": stream,
    "channel": channel,
    "laws": laws,
}


def main():
    stale = []
    for name, draw in FIGURES.items():
        path, drawn = HERE / f"{name}.svg", draw().svg()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != drawn:
                stale.append(path.name)
        else:
            path.write_text(drawn)
    if stale:
        sys.exit("not as drawn: " + ", ".join(stale))


if __name__ == "__main__":
    main()
