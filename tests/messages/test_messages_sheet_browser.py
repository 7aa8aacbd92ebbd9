"""The page of samples in a real browser: it shows the mails and asks nobody for anything."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading

import matplotlib.image
import numpy as np
import pytest

from campanile.events import Message
from campanile.messages.preview import contact_sheet

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_sheet_asks_nobody(tmp_path):
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"

    def visit(page: str, name: str) -> np.ndarray:
        (tmp_path / name).write_text(page)
        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000",
            f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'shot.png'}",
            (tmp_path / name).as_uri(),
        ]  # fmt: skip
        subprocess.run(command, capture_output=True, timeout=90, check=True)
        return matplotlib.image.imread(tmp_path / "shot.png")

    html = (
        f'<style>@import "{base}/style.css"; body {{ background: #ff0000 url({base}/back.png) }}</style><p>Hello</p>'
        f'<img src="{base}/pixel.png"><script>fetch("{base}/script")</script><iframe src="{base}/frame"></iframe>'
        f'<link rel="stylesheet" href="{base}/link.css"><video src="{base}/video" autoplay></video>'
        f'<meta http-equiv="refresh" content="0;url={base}/refresh">'
    )
    try:
        shown = visit(
            contact_sheet([Message("ab" * 16, "email", "", "Subject", "text", html)], title="t"), "sheet.html"
        )
        red = (shown[:, :, :3] == (1, 0, 0)).all(axis=2).mean()
        assert red > 0.05, "the mail is not shown"
        assert asked == []
        visit(html, "bare.html")
        assert asked, "the browser asks for nothing even without our page, so this test shows nothing"
    finally:
        server.shutdown()
        server.server_close()
