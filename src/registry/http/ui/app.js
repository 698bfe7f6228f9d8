// The registry's page. It speaks to the /v2 API alone, keeps its token in this
// variable alone, and writes what it was given as text, never as markup.
"use strict";

const PAGE = 100;
const TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "*/*",
].join(", ");

const main = document.getElementById("main");
const statusLine = document.getElementById("status");
const enter = document.getElementById("enter");
const leave = document.getElementById("leave");
let token = "";
let view = new AbortController();
// Content never changes under its digest.
const known = new Map();

class Refused extends Error {}

function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  for (const child of children) {
    element.append(child instanceof Node ? child : String(child ?? ""));
  }
  return element;
}

function say(text, bad) {
  statusLine.textContent = text;
  statusLine.className = bad ? "bad" : "";
}

function size(bytes) {
  if (!Number.isFinite(bytes)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

const short = (digest) => digest.replace(/^([a-z0-9]+:[0-9a-f]{12}).*$/, "$1");
const place = (parts) => "#" + new URLSearchParams(parts).toString();
const path = (name) => name.split("/").map(encodeURIComponent).join("/");

function link(text, parts) {
  return el("a", { href: place(parts) }, text);
}

async function ask(url, headers, signal) {
  const sent = new Headers(headers);
  if (token) sent.set("Authorization", `Bearer ${token}`);
  // Without credentials the browser asks for no password of its own.
  const answer = await fetch(url, { headers: sent, credentials: "omit", signal });
  if (answer.status === 401) throw new Refused("Log in to see this.");
  if (!answer.ok) {
    let why = "";
    try { why = (await answer.json()).errors[0].message; } catch { /* no body of ours */ }
    throw new Error(`The registry says ${answer.status}${why ? `: ${why}` : ""}.`);
  }
  return answer;
}

// Where a list goes on; only ever in this registry.
function next(answer) {
  const found = /<([^>]+)>;\s*rel="?next"?/.exec(answer.headers.get("Link") || "");
  if (!found) return null;
  const url = new URL(found[1], answer.url);
  return url.origin === location.origin && url.pathname.includes("/v2/") ? url.href : null;
}

async function manifest(name, reference, signal) {
  const key = `${name}@${reference}`;
  if (known.has(key)) return known.get(key);
  const answer = await ask(`v2/${path(name)}/manifests/${encodeURIComponent(reference)}`, { Accept: TYPES }, signal);
  const text = await answer.text();
  let body = {};
  try { body = JSON.parse(text); } catch { /* a type of its own: shown without its parts */ }
  const found = {
    digest: answer.headers.get("Docker-Content-Digest") || reference,
    type: answer.headers.get("Content-Type") || "",
    length: new TextEncoder().encode(text).length,
    body: body && typeof body === "object" ? body : {},
  };
  if (known.size > 2000) known.clear();
  if (reference.includes(":")) known.set(key, found);
  return found;
}

const list = (value) => (Array.isArray(value) ? value.filter((item) => item && typeof item === "object") : []);
const total = (items) => items.reduce((sum, item) => sum + (Number(item.size) || 0), 0);
const platformName = (found) =>
  [found?.os, found?.architecture, found?.variant].filter((part) => typeof part === "string" && part).join("/");

async function config(name, found, signal) {
  const digest = found.body.config?.digest;
  const small = Number(found.body.config?.size) <= 1 << 20;
  if (typeof digest !== "string" || !small || !/json/.test(found.body.config?.mediaType || "")) return {};
  try {
    const body = await (await ask(`v2/${path(name)}/blobs/${encodeURIComponent(digest)}`, {}, signal)).json();
    return body && typeof body === "object" ? body : {};
  } catch (error) {
    if (error instanceof Refused || error.name === "AbortError") throw error;
    return {};
  }
}

// What a row says of a tag: all bytes behind it, and for which platforms.
async function describe(name, reference, signal, depth = 0) {
  const found = await manifest(name, reference, signal);
  const children = list(found.body.manifests);
  if (children.length === 0) {
    const parts = list(found.body.layers).concat(list([found.body.config]));
    const platform = platformName(await config(name, found, signal));
    return { found, bytes: found.length + total(parts), platforms: platform ? [platform] : [] };
  }
  let bytes = found.length;
  const platforms = [];
  for (const child of children.slice(0, 50)) {
    const platform = platformName(child.platform);
    if (platform && platform !== "unknown/unknown") platforms.push(platform);
    if (depth > 0 || typeof child.digest !== "string") continue;
    try {
      bytes += (await describe(name, child.digest, signal, 1)).bytes;
    } catch (error) {
      if (error instanceof Refused || error.name === "AbortError") throw error;
      bytes = NaN; // A platform that is not here.
    }
  }
  return { found, bytes, platforms };
}

function table(caption, columns, rows) {
  const head = columns.map(([text, kind]) => el("th", { scope: "col", class: kind || "" }, text));
  const body = el("tbody", {}, ...rows);
  return [el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...head)), body), body];
}

const cell = (content, kind) => el("td", { class: kind || "" }, content);

// A list that is fetched a page at a time.
async function pages(url, signal, show) {
  const more = el("button", { type: "button" }, "More");
  let from = url;
  const load = async () => {
    const answer = await ask(from, {}, signal);
    from = next(answer);
    more.hidden = !from;
    await show(await answer.json());
  };
  more.addEventListener("click", () => guarded(load));
  main.append(el("p", {}, more));
  await load();
}

async function repositories(signal) {
  const [shown, rows] = table("Repositories that you may pull from", [["Name"]], []);
  const name = el("input", { id: "open", name: "open", autocapitalize: "none", spellcheck: "false" });
  const open = el("form", {}, el("label", { for: "open" }, "Open by name"), " ", name, " ", el("button", { type: "submit" }, "Open"));
  open.addEventListener("submit", (event) => {
    event.preventDefault();
    if (name.value.trim()) location.hash = place({ repository: name.value.trim() });
  });
  main.replaceChildren(el("h1", {}, "Repositories"), open, shown);
  await pages(`v2/_catalog?n=${PAGE}`, signal, (body) => {
    for (const found of body.repositories || []) {
      rows.append(el("tr", {}, cell(link(found, { repository: found }))));
    }
    if (!rows.firstChild) say("There is no repository yet, or none that you may see.");
  });
}

async function tags(name, signal) {
  const columns = [["Tag"], ["Digest"], ["Platforms"], ["Size", "number"]];
  const [shown, rows] = table("Size is everything that a tag leads to, compressed", columns, []);
  main.replaceChildren(trail(name), el("h1", {}, name), shown);
  await pages(`v2/${path(name)}/tags/list?n=${PAGE}`, signal, async (body) => {
    const waiting = (body.tags || []).map((tag) => {
      const cells = [cell("…", "digest"), cell(""), cell("", "number")];
      rows.append(el("tr", {}, cell(link(tag, { repository: name, reference: tag })), ...cells));
      return { tag, cells };
    });
    // A few at a time: there may be many tags.
    const work = async () => {
      for (let row = waiting.shift(); row; row = waiting.shift()) {
        try {
          const { found, bytes, platforms } = await describe(name, row.tag, signal);
          row.cells[0].textContent = short(found.digest);
          row.cells[1].textContent = platforms.join(", ") || "–";
          row.cells[2].textContent = size(bytes);
        } catch (error) {
          if (error instanceof Refused || error.name === "AbortError") throw error;
          row.cells[0].textContent = error.message;
        }
      }
    };
    await Promise.all([work(), work(), work(), work()]);
  });
}

function trail(name, reference) {
  const parts = [link("Repositories", {}), " / "];
  if (reference) parts.push(link(name, { repository: name }), " / ", short(reference));
  else parts.push(name);
  return el("nav", { "aria-label": "Where you are" }, ...parts);
}

function command(text) {
  const button = el("button", { type: "button", "aria-label": `Copy: ${text}` }, "Copy");
  button.addEventListener("click", () => guarded(async () => {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  }));
  return el("div", { class: "command" }, el("code", {}, text), button);
}

function facts(pairs) {
  const shown = pairs.filter(([, value]) => typeof value === "string" && value);
  return el("dl", {}, ...shown.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

async function image(name, reference, signal) {
  const { found, bytes, platforms } = await describe(name, reference, signal);
  const body = found.body;
  const image = `${location.host}/${name}`;
  const details = await config(name, found, signal);
  main.replaceChildren(
    trail(name, reference),
    el("h1", {}, reference.includes(":") ? `${name}@${short(reference)}` : `${name}:${reference}`),
    el("h2", {}, "Pull"),
    command(`docker pull ${image}${reference.includes(":") ? "@" : ":"}${reference}`),
    reference.includes(":") ? "" : command(`docker pull ${image}@${found.digest}`),
    el("h2", {}, "Facts"),
    facts([
      ["Digest", found.digest], ["Type", found.type], ["Artifact", body.artifactType],
      ["Platform", platforms.join(", ")], ["Size", size(bytes)], ["Created", details.created],
      ["Subject", body.subject?.digest],
    ]),
  );
  const annotations = Object.entries(body.annotations || {}).map(([key, value]) => [key, String(value)]);
  if (annotations.length > 0) main.append(el("h2", {}, "Annotations"), facts(annotations));
  const children = list(body.manifests);
  if (children.length > 0) {
    const rows = children.map((child) => el("tr", {},
      cell(platformName(child.platform) || child.artifactType || "–"),
      cell(link(short(String(child.digest)), { repository: name, reference: String(child.digest) }), "digest"),
      cell(child.mediaType || "")));
    const columns = [["Platform"], ["Digest"], ["Type"]];
    main.append(el("h2", {}, "Platforms"), table("One manifest for each", columns, rows)[0]);
  }
  const layers = list(body.layers);
  if (layers.length > 0) {
    const rows = layers.map((layer) => el("tr", {}, cell(short(String(layer.digest)), "digest"),
      cell(layer.mediaType || ""), cell(size(Number(layer.size)), "number")));
    const columns = [["Digest"], ["Type"], ["Size", "number"]];
    main.append(el("h2", {}, "Layers"), table("From the lowest to the highest", columns, rows)[0]);
  }
  const [shown, rows] = table("What refers to this: signatures, bills of materials", [["Type"], ["Digest"], ["Size", "number"]], []);
  const heading = el("h2", {}, "Referrers");
  await pages(`v2/${path(name)}/referrers/${encodeURIComponent(found.digest)}`, signal, (answer) => {
    for (const one of list(answer.manifests)) {
      const digest = String(one.digest);
      rows.append(el("tr", {}, cell(one.artifactType || one.mediaType || ""),
        cell(link(short(digest), { repository: name, reference: digest }), "digest"),
        cell(size(Number(one.size)), "number")));
    }
    if (rows.firstChild && !shown.isConnected) main.lastChild.before(heading, shown);
  });
}

function login(why) {
  token = "";
  leave.hidden = true;
  enter.hidden = true;
  main.replaceChildren(document.getElementById("login").content.cloneNode(true));
  say(why || "");
  const form = main.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(async () => {
      const pair = `${form.elements.user.value}:${form.elements.password.value}`;
      const encoded = btoa(String.fromCharCode(...new TextEncoder().encode(pair)));
      const answer = await fetch("login", { headers: { Authorization: `Basic ${encoded}` }, credentials: "omit" });
      if (answer.status === 401) throw new Error("The user or the password is wrong.");
      if (answer.status === 429) throw new Error("Too many attempts; wait a little.");
      if (!answer.ok) throw new Error(`The registry says ${answer.status}.`);
      token = (await answer.json()).token || "";
      leave.hidden = false;
      known.clear();
      await show();
    });
  });
  form.elements.user.focus();
}

// Runs what a click or an address asks for, and says what went wrong.
async function guarded(work) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof Refused) login(token ? "Your login is over, or does not reach here." : "");
    else say(error.message, true);
  }
}

async function show() {
  view.abort();
  view = new AbortController();
  const asked = new URLSearchParams(location.hash.slice(1));
  const name = asked.get("repository");
  const reference = asked.get("reference");
  say("");
  main.setAttribute("aria-busy", "true");
  document.title = [reference && short(reference), name, "Registry"].filter(Boolean).join(" – ");
  main.replaceChildren();
  try {
    if (name && reference) await image(name, reference, view.signal);
    else if (name) await tags(name, view.signal);
    else await repositories(view.signal);
    // Who sees something without a login may see more with one.
    enter.hidden = token !== "";
    main.focus({ preventScroll: true });
  } finally {
    main.removeAttribute("aria-busy");
  }
}

document.getElementById("host").textContent = location.host;
enter.addEventListener("click", () => login());
leave.addEventListener("click", () => { known.clear(); login("Logged out."); });
window.addEventListener("hashchange", () => guarded(show));
guarded(show);
