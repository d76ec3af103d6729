#!/usr/bin/env python3
"""Opens a report page in headless Chromium and checks that it works: ready, every chart drawn, no error, nothing fetched, every picture
with a text, every slider shows what its table says, and no wider than a phone.

    browser_test.py PAGE.html [--charts N] [--screenshot OUT.png] [--width 1280] [--height 0] [--dark] [--chromium PATH] [--no_self_check]

Exit code 0 if the page is fine, 1 with one line on stderr if it is not, 77 if there is no Chromium. Unless told otherwise it also
breaks copies of the page on purpose and fails if it does not notice. Standard library only; runs as root and as a normal user.
"""

import argparse
import html.parser
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
         "--disable-crash-reporter", "--hide-scrollbars", "--mute-audio", "--host-resolver-rules=MAP * ~NOTFOUND"]
PHONE = 360  # pixels
BREAKAGES = {
    "an uncaught exception": lambda page: page.replace("</body>", "<script>throw new Error('deliberate')</script></body>"),
    "a rejected promise": lambda page: page.replace("</body>", "<script>Promise.reject(new Error('deliberate'))</script></body>"),
    "a console error": lambda page: page.replace("</body>", "<script>console.error('deliberate')</script></body>"),
    "charts that stay blank": lambda page: page.replace(
        "</head>", "<script>for (const f of ['stroke', 'fill']) CanvasRenderingContext2D.prototype[f] = function () {};</script></head>"),
    "a missing chart library": lambda page: page.replace(
        "Chart.js Contributors", "Chart.js Contributors */ throw new Error('deliberate'); /*", 1),
    "a picture without a text": lambda page: page.replace("</main>", "<img src='data:,'></main>"),
    "a slider that does nothing": lambda page: page.replace('range.addEventListener("input", show);', ""),
    "a page wider than a phone": lambda page: page.replace("</main>", "<div style='width:400px'>wide</div></main>"),
    "links too small for a finger": lambda page: page.replace("</style>", "nav a { padding: 0 !important; }</style>"),
    "a fetched picture": lambda page: page.replace("</main>", "<img alt='' src='http://127.0.0.1:9/x.png'></main>"),
}
# Runs inside the page, at its end. Its findings go to the body, where --dump-dom can see them, and to the frame that holds the page.
PROBE = """<script>addEventListener('load', () => setTimeout(() => {
  const found = [];
  const say = (wrong, what) => wrong && found.push(what);
  for (const img of document.images) say(!img.alt.trim(), 'a picture without a text: ' + img.outerHTML.slice(0, 60));
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    say(Number(heading.tagName[1]) > level + 1, 'a heading too deep: ' + heading.textContent);
    level = Number(heading.tagName[1]);
  }
  for (const sweep of document.querySelectorAll('.sweep')) {
    const range = sweep.querySelector('input[type=range]');
    const slider = sweep.querySelector('.slider');
    const addresses = (node) => [...node.querySelectorAll('img')].map((img) => img.src).join();
    say(slider.hidden || range.labels.length !== 1 || range.tabIndex < 0, 'a slider that cannot be reached');
    sweep.querySelectorAll('tbody tr').forEach((row, i) => {
      range.value = i;
      range.dispatchEvent(new Event('input'));
      const shown = addresses(slider) === addresses(row)
          && ['skip', 'nfe', 'rmse'].every((name) => slider.querySelector('[data-value=' + name + ']').textContent === row.dataset[name])
          && range.getAttribute('aria-valuetext').includes(row.dataset.nfe + ' evaluations');
      say(!shown, 'a slider that does not show row ' + i + ' of its table');
    });
  }
  if (parent !== window) {
    const {scrollWidth, clientWidth} = document.documentElement;
    say(scrollWidth > clientWidth, 'a page of ' + scrollWidth + ' pixels on a screen of ' + clientWidth);
    for (const target of document.querySelectorAll('nav a, summary, input')) {
      const {height} = target.getBoundingClientRect();
      say(height > 0 && height < 40, 'too small for a finger: ' + target.textContent.slice(0, 40));
    }
    parent.postMessage(JSON.stringify(found), '*');
  }
  document.body.dataset.found = JSON.stringify(found);
  document.body.dataset.errors = JSON.stringify(window.__headstart_errors);
}, 200));</script></body>"""
# A browser window cannot be as narrow as a phone, but a frame in it can.
FRAME = "<body style='margin:0'><iframe style='border:0;display:block' width=%d height=%d src='%s'></iframe>"
LISTEN = "<script>addEventListener('message', (event) => { document.body.dataset.found = event.data; });</script>"


class Body(html.parser.HTMLParser):
    """Counts canvases and pictures, keeps the data attributes of the body and every address that is not inside the page."""

    def __init__(self):
        super().__init__()
        self.canvases = 0
        self.data = {}
        self.outside = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.canvases += tag == "canvas"
        if tag == "body":
            self.data = {k: v for k, v in attrs.items() if k.startswith("data-")}
        for name in ("src", "href", "srcset", "action", "poster"):
            if name in attrs and not re.match(r"(data:|#|$)", attrs[name] or ""):
                self.outside.append(attrs[name])


class BadPage(Exception):
    pass


def run_chromium(chromium, page, extra):
    """stdout and stderr of one headless run, in a profile and a process group of its own so that nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="headstart_browser_", ignore_cleanup_errors=True) as profile:
        env = dict(os.environ, HOME=profile, XDG_CONFIG_HOME=profile, XDG_CACHE_HOME=profile)
        process = subprocess.Popen([chromium, *FLAGS, "--user-data-dir=" + profile, *extra, page.resolve().as_uri()], env=env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            raise BadPage("Chromium did not finish within 120 s") from None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def look(options):
    extra = ["--window-size=%d,%d" % (options.width, options.height or 900), "--virtual-time-budget=10000"]
    # The engine's own setting: the flag that forces dark pages would invert colours instead of asking the style sheet.
    return extra + (["--blink-settings=preferredColorScheme=0"] if options.dark else ["--blink-settings=preferredColorScheme=1"])


def check(page, options):
    """Raises BadPage with the first thing that is wrong."""
    source = Body()
    text = page.read_text(encoding="utf-8")
    source.feed(text)
    if source.outside:
        raise BadPage("the page refers to something outside itself: " + source.outside[0])
    with tempfile.TemporaryDirectory(prefix="headstart_page_") as folder:
        probed, frame = pathlib.Path(folder) / "page.html", pathlib.Path(folder) / "frame.html"
        probed.write_text(PROBE.join(text.rsplit("</body>", 1)), encoding="utf-8")
        frame.write_text(LISTEN + FRAME % (PHONE, 800, probed.as_uri()), encoding="utf-8")
        dump = look(options) + ["--dump-dom", "--enable-logging=stderr", "--v=0"]
        code, dom, log = run_chromium(options.chromium, probed, dump)
        body = Body()
        body.feed(dom)
        raise_first_problem(body, code, log)
        expected = source.canvases if options.charts is None else options.charts
        if source.canvases != expected or body.data.get("data-charts") != str(expected):
            raise BadPage("expected %d charts, the page has %d and drew %s" % (expected, source.canvases, body.data.get("data-charts")))
        phone = Body()
        phone.feed(run_chromium(options.chromium, frame, dump)[1])
        if phone.data.get("data-found") != "[]":
            raise BadPage("the page has on a phone: %s" % phone.data.get("data-found"))
    return expected


def raise_first_problem(body, code, log):
    console = [line for line in log.splitlines() if "CONSOLE" in line]
    if code != 0:
        raise BadPage("Chromium ended with code %d: %s" % (code, (log.strip().splitlines() or ["no message"])[-1]))
    if console:
        raise BadPage("the console says: " + console[0])
    if body.data.get("data-errors") != "[]":
        raise BadPage("errors in the page: " + str(body.data.get("data-errors")))
    if body.data.get("data-found") != "[]":
        raise BadPage("the page has %s" % body.data.get("data-found"))
    if body.data.get("data-ready") != "true":
        raise BadPage("data-ready is %r, expected 'true'" % body.data.get("data-ready"))


def screenshot(page, options):
    target = pathlib.Path(options.screenshot).resolve()
    target.unlink(missing_ok=True)
    shown = page
    with tempfile.TemporaryDirectory(prefix="headstart_page_") as folder:
        if options.width < 500:
            shown = pathlib.Path(folder) / "frame.html"
            shown.write_text(FRAME % (options.width, options.height or 900, page.resolve().as_uri()), encoding="utf-8")
        run_chromium(options.chromium, shown, look(options) + ["--screenshot=" + str(target)])
    if not target.exists() or target.read_bytes()[:8] != b"\x89PNG\r\n\x1a\n":
        raise BadPage("no screenshot was written to %s" % target)


def self_check(page, options):
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="headstart_broken_") as folder:
        broken = pathlib.Path(folder) / "broken.html"
        for name, breakage in BREAKAGES.items():
            changed = breakage(text)
            if changed == text:
                raise BadPage("self check: could not break the page by " + name)
            broken.write_text(changed, encoding="utf-8")
            try:
                check(broken, options)
            except BadPage as found:
                print("self check: %s is noticed (%s)" % (name, str(found)[:90]))
                continue
            raise BadPage("self check: a page with %s passed" % name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--charts", type=int, help="charts that must be drawn (default: as many as the page has)")
    parser.add_argument("--screenshot")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=0)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"))
    parser.add_argument("--no_self_check", action="store_true")
    options = parser.parse_args()
    if not options.chromium:
        print("browser_test: skipped, there is no Chromium", file=sys.stderr)
        return 77
    try:
        if not options.page.is_file():
            raise BadPage("there is no such page")
        charts = check(options.page, options)
        print("%s: ready, %d charts drawn, no errors" % (options.page, charts))
        if options.screenshot:
            screenshot(options.page, options)
            print("screenshot: " + options.screenshot)
        if not options.no_self_check:
            self_check(options.page, options)
    except BadPage as bad:
        print("browser_test: %s: %s" % (options.page, bad), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
