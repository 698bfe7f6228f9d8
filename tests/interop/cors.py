"""Asks registries from pages of other origins, in a headless Chromium.

    cors.py USER PASSWORD ALLOWED IMAGE INDEX CA URL...

ALLOWED is the origin, on localhost, whose pages the registries let in. IMAGE and
INDEX are the digests of cors/app:single and cors/app:multi; the index is deleted.
Prints what it saw, one line a fact; ends with 1 at the first that is wrong.
"""

import base64, http.server, json, ssl, sys, tempfile, threading, urllib.error, urllib.parse, urllib.request

from browser import Browser, until

USER, PASSWORD, ALLOWED, IMAGE, INDEX, CA = sys.argv[1:7]
CONTEXT = ssl.create_default_context(cafile=CA)
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
IMAGE_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Page(http.server.BaseHTTPRequestHandler):
    """An empty page, whatever is asked for."""

    def do_GET(self):
        text = b"<!doctype html><title>a page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def serve(port):
    """Serves the page on a port of loopback; gives the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def status(path):
    """What the registry answers to somebody who is no browser."""
    request = urllib.request.Request(URL + path, headers={"Authorization": BASIC, "Accept": "*/*"})
    try:
        with urllib.request.urlopen(request, context=CONTEXT) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


class Asking:
    """A browser with a page of one origin open, which asks the registry."""

    def __init__(self, browser, origin):
        self.browser, self.origin, self.first = browser, origin, len(browser.events)
        browser.call("Page.navigate", url=origin + "/")
        until(lambda: browser.js("document.title && origin") == origin, f"a page of {origin}")

    def fetch(self, path, method="GET", **options):
        """What the page gets: status, body and all headers that it may read, or
        the error that it gets in their place."""
        url = path if path.startswith("http") else URL + path
        options = {"method": method, "cache": "no-store", **options}
        return self.browser.js(f"""fetch({json.dumps(url)}, {json.dumps(options)}).then(
            async (answer) => ({{type: answer.type, status: answer.status, text: await answer.text(),
                headers: Object.fromEntries(answer.headers)}}),
            (error) => ({{refused: String(error)}}))""")

    def read(self, path, method="GET", **options):
        """The same where an answer must come."""
        answer = self.fetch(path, method, **options)
        assert "status" in answer, f"no answer to {method} {path}: {answer}\n" + "\n".join(self.complaints())
        return answer

    def preflights(self):
        """The paths for which the browser asked the registry before."""
        for event in self.browser.events[self.first:]:
            parameters = event["params"]
            if event["method"] == "Network.requestWillBeSent" and parameters["initiator"]["type"] == "preflight":
                yield urllib.parse.urlparse(parameters["request"]["url"]).path

    def complaints(self):
        """What the browser wrote to its console about answers it withheld."""
        for event in self.browser.events[self.first:]:
            if event["method"] == "Log.entryAdded":
                text = event["params"]["entry"]["text"]
                if "blocked by CORS policy" in text:
                    yield text


def same(what, expected, found):
    assert expected == found, f"{what}\n  expected: {expected}\n  found:    {found}"
    print("seen:", what)


def others(browser, origin):
    """A page that is not let in gets no answer, and nothing is done for it."""
    page = Asking(browser, origin)
    manifest = f"/v2/cors/app/manifests/{INDEX}"
    with_login = {"Authorization": BASIC, "Accept": INDEX_TYPE}
    withheld = {"refused": "TypeError: Failed to fetch"}
    same(f"{origin}: no answer without a login", withheld, page.fetch("/v2/"))
    same(f"{origin}: no list", withheld, page.fetch("/v2/_catalog", headers=with_login))
    same(f"{origin}: no manifest", withheld, page.fetch(manifest, headers=with_login))
    same(f"{origin}: no head", withheld, page.fetch(manifest, "HEAD", headers=with_login))
    same(f"{origin}: no deletion", withheld, page.fetch(manifest, "DELETE", headers=with_login))
    same(f"{origin}: nothing was deleted", 200, status(manifest))
    blind = page.fetch("/v2/", mode="no-cors")
    same(f"{origin}: a page that wants no answer gets none",
         {"type": "opaque", "status": 0, "text": "", "headers": {}}, blind)
    until(lambda: browser.js("1") and len(list(page.complaints())) >= 5,
          f"{origin}: the browser says for each why")


def allowed(browser):
    """What a registry UI does: it learns where to log in, takes a token, lists,
    reads and deletes."""
    page = Asking(browser, ALLOWED)
    answer = page.read("/v2/")
    same("the status without a login", 401, answer["status"])
    challenge = answer["headers"].get("www-authenticate", "")
    realm = challenge.removeprefix('Bearer realm="').split('"')[0]
    same("the challenge can be read", URL + "/login", realm)
    same("also with the browser's own credentials", 401, page.read("/v2/", credentials="include")["status"])
    answer = page.read(realm, headers={"Authorization": BASIC})
    same("a login", 200, answer["status"])
    token = "Bearer " + json.loads(answer["text"])["token"]

    answer = page.read("/v2/_catalog?n=1", headers={"Authorization": token})
    same("the list's first page", ["cors/app"], json.loads(answer["text"])["repositories"])
    link = answer["headers"].get("link", "").removeprefix("<").split(">")[0]
    answer = page.read(urllib.parse.urljoin(URL, link), headers={"Authorization": token})
    same("its second page, by the link", ["cors/more"], json.loads(answer["text"])["repositories"])

    for reference, kind, digest in (("multi", INDEX_TYPE, INDEX), ("single", IMAGE_TYPE, IMAGE)):
        path = f"/v2/cors/app/manifests/{reference}"
        answer = page.read(path, headers={"Authorization": token, "Accept": kind})
        same(f"{reference}: its type", kind, answer["headers"].get("content-type"))
        same(f"{reference}: its text", kind, json.loads(answer["text"])["mediaType"])
        answer = page.read(path, "HEAD", headers={"Authorization": token, "Accept": kind})
        same(f"{reference}: its head", (200, "", digest),
             (answer["status"], answer["text"], answer["headers"].get("docker-content-digest")))

    path = f"/v2/cors/app/manifests/{INDEX}"
    same("a deletion", 202, page.read(path, "DELETE", headers={"Authorization": token})["status"])
    same("what was deleted is gone", 404, page.read(path, "HEAD", headers={"Authorization": token})["status"])
    same("to others as well", 404, status(path))
    same("the browser asked before it deleted", True, path in set(page.preflights()))
    same("the browser withheld nothing", [], list(page.complaints()))


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    port = serve(urllib.parse.urlparse(ALLOWED).port)
    other = serve(0)
    browser = Browser(folder)
    try:
        for URL in sys.argv[7:]:
            print(URL)
            # The same page by another name, and another port of the same name.
            others(browser, f"http://127.0.0.1:{port}")
            others(browser, f"http://localhost:{other}")
            allowed(browser)
    finally:
        browser.process.terminate()
        browser.process.wait(20)
