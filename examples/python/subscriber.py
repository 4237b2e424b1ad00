#!/usr/bin/python3
"""A runtime, or with no --node an observer, of scissiond's update stream (docs/protocol.md).

It downloads and checks the partitions of its node when it is told to prepare, switches when all runtimes
are told to, connects again after a random wait, and takes up where it was. Where a real runtime would
load, use and forget a model, this one prints a line of JSON.

Needs Python 3.9 and the package websockets (Debian: python3-websockets).
"""

import argparse
import asyncio
import glob
import hashlib
import http.client
import json
import os
import random
import re
import ssl
import sys
import threading
import time
import urllib.request

import websockets

SUBPROTOCOL = "scission.updates.v1"
PATH = "/api/v1/updates"
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
CONNECT_SECONDS = 10
SILENCE_SECONDS = 45  # the daemon sends a heartbeat every 15 seconds
DOWNLOAD_SECONDS = 60
WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.5, 30
# The name of this argument changed with version 14 of websockets.
NEW_API = int(websockets.__version__.split(".")[0]) >= 14
HEADERS = "additional_headers" if NEW_API else "extra_headers"


def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


class Runtime:
    """What is in force and what is prepared; both survive a lost connection."""

    def __init__(self, options, tls):
        self.options = options
        self.tls = tls
        self.epoch = None
        self.in_force = {}  # pipeline -> plan
        self.prepared = {}  # pipeline -> plan that is loaded beside it
        self.preparing = {}  # pipeline -> task
        # A download that was given up goes on in its thread: the next one must not write the same file.
        self.downloading = threading.Lock()

    @property
    def is_runtime(self):
        return self.options.node is not None

    def hello(self):
        message = {"type": "subscribe", "role": "runtime" if self.is_runtime else "observer"}
        if self.is_runtime:
            message["node"] = self.options.node
        if self.options.pipeline:
            message["pipelines"] = self.options.pipeline
        if self.epoch is not None:
            have = {"epoch": self.epoch, "revisions": revisions(self.in_force)}
            if self.prepared:
                have["prepared"] = revisions(self.prepared)
            message["have"] = have
        return message

    async def converse(self, socket):
        """Serves one connection until it ends."""

        async def answer(kind, frame, **more):
            if not self.is_runtime:  # observers are not asked
                return
            try:
                await socket.send(json.dumps({"type": kind, "nonce": frame["nonce"], **more}))
            except websockets.ConnectionClosed:
                pass  # receiving ends too, and says why

        await socket.send(json.dumps(self.hello()))
        try:
            while True:
                text = await asyncio.wait_for(socket.recv(), SILENCE_SECONDS)
                await self.take(json.loads(text), answer)
        finally:
            # What is still loading would be answered too late; what is loaded is kept.
            for task in self.preparing.values():
                task.cancel()
            self.preparing.clear()

    async def take(self, frame, answer):
        kind, name = frame["type"], frame.get("pipeline")
        if kind in ("snapshot", "update"):
            plans = frame["plans"] if kind == "snapshot" else [frame["plan"]]
            failure = await self.load(plans)
            if failure is not None:
                tell("reject", type=kind, reason=failure)
                await answer("reject", frame, reason=failure)
                return
            if kind == "snapshot":
                self.take_snapshot(frame)
            for plan in plans:
                self.put_in_force(plan)
            await answer("ack", frame)
        elif kind == "removed":
            self.in_force.pop(name, None)
            tell("removed", pipeline=name)
            await answer("ack", frame)
        elif kind == "prepare":
            # Loading may take long, and other frames come meanwhile.
            name = frame["plan"]["pipeline"]
            self.give_up(name)
            self.preparing[name] = asyncio.ensure_future(self.prepare(frame, answer))
        elif kind == "activate":
            self.put_in_force(self.prepared.pop(name))
            await answer("active", frame)
        elif kind == "abort":
            self.give_up(name)
            tell("abort", pipeline=name, revision=frame["revision"])
        elif kind == "retire":
            self.forget_unused()
            tell("retire", pipeline=name, revision=frame["revision"])

    def take_snapshot(self, frame):
        if frame["epoch"] != self.epoch:  # the daemon lost its state: nothing of ours counts any more
            self.epoch, self.in_force, self.prepared = frame["epoch"], {}, {}
        for name in set(self.in_force) - set(frame["revisions"]):
            del self.in_force[name]
            tell("removed", pipeline=name)
        tell("snapshot", epoch=self.epoch, revisions=frame["revisions"])

    def put_in_force(self, plan):
        name, revision = plan["pipeline"], plan["revision"]
        if name in self.prepared and self.prepared[name]["revision"] <= revision:
            del self.prepared[name]
        self.in_force[name] = plan
        own = [part for part in plan["partitions"] if part["node"] == self.options.node]
        layers = ["%d-%d" % (part["firstLayer"], part["lastLayer"]) for part in own]
        tell("in-force", pipeline=name, revision=revision, layers=layers)

    async def prepare(self, frame, answer):
        plan = frame["plan"]
        name, revision = plan["pipeline"], plan["revision"]
        failure = await self.load([plan])
        del self.preparing[name]
        if failure is not None:
            tell("reject", type="prepare", pipeline=name, revision=revision, reason=failure)
            await answer("reject", frame, reason=failure)
            return
        self.prepared[name] = plan
        tell("ready", pipeline=name, revision=revision)
        await answer("ready", frame)

    def give_up(self, name):
        self.prepared.pop(name, None)
        task = self.preparing.pop(name, None)
        if task is not None:
            task.cancel()

    async def load(self, plans):
        """Downloads what this node is to run. Returns what went wrong; None where nothing did."""
        own = [part for plan in plans for part in plan["partitions"] if part["node"] == self.options.node]
        try:
            for part in own:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, self.fetch, part["artifact"])
        except (OSError, ValueError, http.client.HTTPException) as error:
            return (str(error) or type(error).__name__)[:1000]
        return None

    def fetch(self, artifact):
        with self.downloading:
            self.download(artifact)

    def download(self, artifact):
        path = self.path_of(artifact["sha256"])
        if os.path.exists(path):
            return
        request = urllib.request.Request(self.options.url + artifact["path"], headers=self.login())
        with urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS, context=self.tls) as response:
            content = response.read(artifact["bytes"] + 1)
        if hashlib.sha256(content).hexdigest() != artifact["sha256"]:
            raise ValueError("the partition is not what the plan says")
        with open(path + ".part", "wb") as file:
            file.write(content)
        os.replace(path + ".part", path)

    def forget_unused(self):
        plans = [*self.in_force.values(), *self.prepared.values()]
        used = {self.path_of(part["artifact"]["sha256"]) for plan in plans for part in plan["partitions"]}
        if self.preparing:
            return
        for path in glob.glob(os.path.join(glob.escape(self.options.models), "*.onnx")):
            if path not in used:
                os.remove(path)

    def path_of(self, sha256):
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError("no SHA-256: " + sha256)
        return os.path.join(self.options.models, sha256 + ".onnx")

    def login(self):
        if self.options.token_file is None:
            return {}
        with open(self.options.token_file, encoding="utf-8") as file:
            return {"Authorization": "Bearer " + file.read().strip()}

    async def follow(self):
        """For ever: connects, serves, and waits at random up to a bound that doubles (full jitter)."""
        failures = 0
        while True:
            started = time.monotonic()
            try:
                socket = await websockets.connect(
                    self.options.url.replace("http", "ws", 1) + PATH,
                    subprotocols=[SUBPROTOCOL],
                    ssl=self.tls,
                    max_size=MESSAGE_BYTES_MAX,
                    open_timeout=CONNECT_SECONDS,
                    **{HEADERS: self.login()},
                )
                try:
                    if socket.subprotocol != SUBPROTOCOL:
                        raise ValueError("the server speaks another protocol")
                    await self.converse(socket)
                finally:
                    await socket.close()
            except (OSError, asyncio.TimeoutError, ValueError, KeyError, TypeError) as error:
                tell("disconnected", reason=str(error) or type(error).__name__)
            except websockets.WebSocketException as error:
                tell("disconnected", reason=str(error))
            # A connection that is dropped at once is no success.
            failures = 1 if time.monotonic() - started > WAIT_SECONDS_MAX else failures + 1
            longest = min(WAIT_SECONDS_MAX, WAIT_SECONDS_MIN * 2 ** min(failures - 1, 10))
            await asyncio.sleep(random.uniform(0, longest))


def revisions(plans):
    return {name: plan["revision"] for name, plan in plans.items()}


def main():
    parser = argparse.ArgumentParser(description="Follows the plans of a scissiond.")
    parser.add_argument("--url", default="http://127.0.0.1:8420", help="http:// or https:// of the daemon")
    parser.add_argument("--node", help="the node that this runtime runs on; without it: an observer")
    parser.add_argument("--pipeline", action="append", help="only this one; may be given again")
    parser.add_argument("--models", default="models", help="directory for downloaded partitions, and nothing else")
    parser.add_argument("--token-file", help="file that holds the bearer token")
    parser.add_argument("--ca-file", help="PEM of the authority that signed the daemon's certificate")
    options = parser.parse_args()
    options.url = options.url.rstrip("/")
    os.makedirs(options.models, exist_ok=True)
    tls = None
    if options.url.startswith("https:"):
        tls = ssl.create_default_context(cafile=options.ca_file)
    try:
        asyncio.run(Runtime(options, tls).follow())
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
