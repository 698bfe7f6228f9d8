"""A headless Chromium, driven over the DevTools protocol. Nothing but Python's
own library: the few bytes of a WebSocket are written here.
"""

import base64, json, os, socket, struct, subprocess, time, urllib.parse, urllib.request


class Browser:
    """A Chromium with one page."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking", "--ignore-certificate-errors",
             "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = os.path.join(folder, "DevToolsActivePort")
        until(lambda: os.path.exists(port_file) and open(port_file).read().count("\n") >= 1, "Chromium")
        port = int(open(port_file).read().split()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(found for found in json.load(answer) if found["type"] == "page")
        target = urllib.parse.urlparse(page["webSocketDebuggerUrl"])
        self.socket = socket.create_connection((target.hostname, target.port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nUpgrade: websocket\r\n"
             f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.stream = self.socket.makefile("rb")
        assert b" 101 " in self.stream.readline()
        while self.stream.readline() != b"\r\n":
            pass
        self.number, self.events = 0, []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        length = len(data)
        head = (struct.pack("!BB", 0x81, 0x80 | length) if length < 126
                else struct.pack("!BBH", 0x81, 0xFE, length) if length < 65536
                else struct.pack("!BBQ", 0x81, 0xFF, length))
        self.socket.sendall(head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))

    def receive(self):
        text = b""
        while True:
            first, length = struct.unpack("!BB", self.stream.read(2))
            if length == 126:
                length = struct.unpack("!H", self.stream.read(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self.stream.read(8))[0]
            text += self.stream.read(length)
            if first & 0x80:
                return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        self.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = self.receive()
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def js(self, code):
        result = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def text(self):
        return self.js("document.body.innerText")


def until(holds, what):
    end = time.monotonic() + 30
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"this never came: {what}")
        time.sleep(0.05)
    print("seen:", what)
