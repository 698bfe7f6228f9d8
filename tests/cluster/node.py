#!/usr/bin/env python3
"""Plays the scheduler and the kubelet of the one node: no container runs here.

    node.py SERVER AUTHORITY TOKEN NAMESPACE BROKEN

It binds pods whose claims are bound, says that their containers run, and removes
pods that are being deleted. The containers of a pod whose group id is a line of
the file BROKEN end at once, again and again.
"""

import http.client
import json
import ssl
import sys
import time
import urllib.parse

SERVER, AUTHORITY, TOKEN, NAMESPACE, BROKEN = sys.argv[1:]
NODE = "n1"
HERE = f"/api/v1/namespaces/{NAMESPACE}"


class Api:
    """One connection, which is made anew when the server was away."""

    def __init__(self):
        address = urllib.parse.urlsplit(SERVER)
        context = ssl.create_default_context(cafile=AUTHORITY)
        self.connection = http.client.HTTPSConnection(
            address.hostname, address.port, context=context, timeout=10)

    def ask(self, method, path, body=None, kind="application/json"):
        """The answer, or None where the server refuses."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        self.connection.request(method, path, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            # 404 and 409: somebody else was faster, and the next round sees what is.
            if answer.status not in (404, 409):
                print(method, path, answer.status, data[:500], flush=True)
            return None
        return json.loads(data)

    def status(self, pod, status):
        name = pod["metadata"]["name"]
        self.ask("PATCH", f"{HERE}/pods/{name}/status?fieldManager=kubelet",
                 {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status},
                 "application/strategic-merge-patch+json")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def condition(name, status, **more):
    return {"type": name, "status": status, "lastTransitionTime": now(), **more}


def schedule(api, pod, told):
    """As the scheduler does: a pod waits for its claims."""
    name = pod["metadata"]["name"]
    for volume in pod["spec"].get("volumes", []):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        found = claim and api.ask("GET", f"{HERE}/persistentvolumeclaims/{claim}")
        if claim and (found or {}).get("status", {}).get("phase") != "Bound":
            if told.get(pod["metadata"]["uid"]) != "unbound":
                told[pod["metadata"]["uid"]] = "unbound"
                api.status(pod, {"conditions": [condition(
                    "PodScheduled", "False", reason="Unschedulable",
                    message="0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")]})
            return
    api.ask("POST", f"{HERE}/pods/{name}/binding", {
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
        "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}})


def how(api, pod, broken, before):
    """creating, crashing or ready."""
    secrets = [one["secret"]["secretName"] for one in pod["spec"].get("volumes", []) if "secret" in one]
    # What is mounted once stays.
    if before not in ("crashing", "ready") and not all(api.ask("GET", f"{HERE}/secrets/{name}") for name in secrets):
        return "creating"
    group = pod["spec"].get("securityContext", {}).get("runAsGroup")
    return "crashing" if str(group) in broken else "ready"


def status(pod, state, address):
    """What the kubelet says of a pod in this state."""
    runs = state == "ready"
    last, restarts = {}, 0
    if state == "ready":
        now_is = {"running": {"startedAt": now()}}
    elif state == "creating":
        now_is = {"waiting": {"reason": "ContainerCreating"}}
    else:
        restarts = 3
        now_is = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
        last = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now(),
                               "containerID": "none://1"}}
    containers = [
        {"name": one["name"], "image": one["image"], "imageID": "", "ready": runs, "started": runs,
         "restartCount": restarts, "state": now_is, "lastState": last}
        for one in pod["spec"]["containers"]]
    word = "True" if runs else "False"
    return {
        "phase": "Pending" if state == "creating" else "Running",
        "startTime": now(), "hostIP": "127.0.0.1",
        "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [condition("PodScheduled", "True"), condition("Initialized", "True"),
                       condition("ContainersReady", word), condition("Ready", word)],
        "containerStatuses": containers,
    }


def complain(api, pod):
    """The event that a kubelet writes about a container that ends again and again."""
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    container = pod["spec"]["containers"][0]["name"]
    api.ask("POST", f"{HERE}/events", {
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": f"{name}.", "namespace": NAMESPACE},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": NAMESPACE, "name": name, "uid": uid},
        "type": "Warning", "reason": "BackOff", "count": 1, "source": {"component": "kubelet", "host": NODE},
        "message": f"Back-off restarting failed container {container} in pod {name}_{NAMESPACE}({uid})",
        "firstTimestamp": now(), "lastTimestamp": now()})


def turn(api, told):
    with open(BROKEN, encoding="utf-8") as file:
        broken = file.read().split()
    for pod in (api.ask("GET", f"{HERE}/pods") or {}).get("items", []):
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if pod["metadata"].get("deletionTimestamp"):
            api.ask("DELETE", f"{HERE}/pods/{name}", {
                "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
        elif not pod["spec"].get("nodeName"):
            schedule(api, pod, told)
        else:
            state = how(api, pod, broken, told.get(uid))
            if told.get(uid) != state:
                told[uid] = state
                api.status(pod, status(pod, state, f"10.1.0.{len(told) % 250 + 1}"))
                if state == "crashing":
                    complain(api, pod)


def main():
    api, told = Api(), {}
    while True:
        try:
            turn(api, told)
        except (OSError, http.client.HTTPException):
            # The suite stops the server once. A closed connection opens itself again.
            api.connection.close()
        time.sleep(0.1)


main()
