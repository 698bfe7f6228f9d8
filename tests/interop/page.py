"""Drives the registry's page in a headless Chromium.

    page.py URL USER PASSWORD [CA]

Prints what it saw, one line a fact; ends with 1 at the first that is wrong.
"""

import base64, hashlib, json, re, ssl, sys, tempfile, urllib.parse, urllib.request

from browser import Browser, until

URL, USER, PASSWORD = sys.argv[1:4]
CONTEXT = ssl.create_default_context(cafile=sys.argv[4]) if len(sys.argv) > 4 else None
EVIL = '"><img src=x onerror="window.evil=1"><script>window.evil=1</script>'


def ask(method, path, body=b"", kind="application/octet-stream"):
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Content-Type": kind}
    request = urllib.request.Request(URL + path, body or None, headers, method=method)
    with urllib.request.urlopen(request, context=CONTEXT) as answer:
        return answer.read()


def blob(name, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", data)
    return {"digest": digest, "size": len(data)}


def manifest(name, to, kind, body):
    data = json.dumps(body).encode()
    ask("PUT", f"/v2/{name}/manifests/{to}", data, kind)
    return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}


def seed():
    """An image for two platforms with a referrer, and many tags and names."""
    oci = "application/vnd.oci.image"
    index = []
    for arch in ("amd64", "arm64"):
        config = blob("team/app", json.dumps({"os": "linux", "architecture": arch}).encode())
        layer = blob("team/app", (arch * 1000).encode())
        body = {
            "schemaVersion": 2,
            "mediaType": f"{oci}.manifest.v1+json",
            "config": {"mediaType": f"{oci}.config.v1+json", **config},
            "layers": [{"mediaType": f"{oci}.layer.v1.tar", **layer}],
            "annotations": {"note": EVIL},
        }
        found = manifest("team/app", arch, f"{oci}.manifest.v1+json", body)
        index.append({**found, "platform": {"os": "linux", "architecture": arch}})
    body = {"schemaVersion": 2, "mediaType": f"{oci}.index.v1+json", "manifests": index}
    manifest("team/app", "multi", f"{oci}.index.v1+json", body)
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", **blob("team/app", b"{}")}
    body = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "artifactType": "application/vnd.example.signature<b>",
        "config": empty,
        "layers": [empty],
        "subject": index[0],
    }
    manifest("team/app", "signature", f"{oci}.manifest.v1+json", body)
    for number in range(105):
        config = blob(f"many/r{number:03}", b"{}")
        body = {"schemaVersion": 2, "config": {"mediaType": "text/x", **config}, "layers": []}
        manifest(f"many/r{number:03}", "t", f"{oci}.manifest.v1+json", body)
    return index[0]["digest"]


def log_in(page, password):
    page.js(f"""(() => {{
        const form = document.querySelector("main form");
        form.elements.user.value = {json.dumps(USER)};
        form.elements.password.value = {json.dumps(password)};
        form.requestSubmit();
    }})()""")


def check(page, digest):
    def has(*texts):
        return lambda: all(found in page.text() for found in texts)

    def press(selector):
        page.js(f"document.querySelector({json.dumps(selector)}).click()")

    def go(**parts):
        page.js(f"location.hash = {json.dumps(urllib.parse.urlencode(parts))}")

    page.call("Page.navigate", url=URL + "/")
    until(lambda: page.js("!!document.querySelector('#password')"), "the form that asks for a password")
    assert "many/r000" not in page.text()
    log_in(page, "wrong")
    until(has("The user or the password is wrong."), "a wrong password refused")
    log_in(page, PASSWORD)
    count = "document.querySelectorAll('tbody tr').length"
    until(lambda: page.js(count) == 100, "the repositories' first page")
    assert "team/app" not in page.text(), "the second page is not there yet"
    press("main p button")
    until(has("team/app", "many/r104"), "the repositories' second page")
    assert not page.js("JSON.stringify([Object.keys(localStorage), Object.keys(sessionStorage), document.cookie])").strip('[]",'), "something is kept"

    go(repository="team/app")
    until(has("multi", "linux/amd64, linux/arm64", "KiB"), "tags with digests, platforms and sizes")
    go(repository="team/app", reference="multi")
    host = urllib.parse.urlparse(URL).netloc
    until(has(f"docker pull {host}/team/app:multi", "One manifest for each"), "the pull command and the platforms")
    go(repository="team/app", reference="amd64")
    until(has("application/vnd.oci.image.layer.v1.tar", digest, "linux/amd64"), "the layers")
    until(has("application/vnd.example.signature<b>"), "the referrers, as text")
    assert EVIL in page.text(), "an annotation is shown as it is"
    assert page.js("window.evil") is None, "an annotation became code"
    go(repository="<img src=x onerror=window.evil=1>")
    until(has("The registry says 400"), "a name that is none, as an error")
    go(repository="none/such")
    until(has("The registry says 404"), "a repository that is not there")
    assert page.js("window.evil") is None

    for scheme in ("dark", "light"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colours = page.js("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
        assert (bright[0] > bright[1]) == (scheme == "dark"), (scheme, colours)
        print("seen:", scheme, colours)
    unnamed = page.js("""[...document.querySelectorAll("input, button, a[href]")].filter((one) =>
        !(one.labels?.length || one.textContent.trim() || one.getAttribute("aria-label"))).length""")
    assert unnamed == 0, "a control without a name"
    assert page.js("document.documentElement.lang && document.querySelectorAll('h1').length <= 1")
    assert page.js("document.getElementById('enter').hidden")
    press("#leave")
    until(lambda: page.js("!!document.querySelector('#password')"), "the form again after logging out")


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    digest = seed()
    page = Browser(folder)
    try:
        check(page, digest)
        for event in page.events:
            kind, parameters = event.get("method"), event.get("params", {})
            if kind == "Network.requestWillBeSent":
                asked = parameters["request"]["url"]
                assert asked.startswith((URL + "/", "about:")), f"the page asks elsewhere: {asked}"
            assert kind != "Runtime.exceptionThrown", parameters
            entry = parameters.get("entry", {})
            assert "Content Security Policy" not in entry.get("text", ""), entry
        print("seen: no request elsewhere, no exception, nothing against the policy")
    finally:
        page.process.terminate()
        page.process.wait(20)
